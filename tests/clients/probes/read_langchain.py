"""Reads streams through LangChain's `ChatOpenAI`, exactly as installed. The cases are those of read_python.py."""

import json
import sys

from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI

from read_python import described, nothing


def main() -> None:
    print(json.dumps([read(sys.argv[1], case) for case in json.load(sys.stdin)]))


def read(base_url: str, case: dict) -> dict:
    request = dict(case["request"])
    model = ChatOpenAI(
        model=request.pop("model"),
        base_url=base_url,
        api_key="sk-none",
        max_retries=case.get("retries", 0),
        timeout=case.get("timeout", 30),
        default_headers=case["headers"],
    )
    messages = request.pop("messages")
    result, whole = nothing(), None
    try:
        for chunk in model.stream(messages, **request):
            whole = chunk if whole is None else whole + chunk
    except Exception as error:  # whatever it is, it is what a user of LangChain meets
        result["error"] = described(error)
    if whole is not None:
        add(result, whole)
    return result


def add(result: dict, whole: AIMessageChunk) -> None:
    result["text"] = whole.text
    result["refusal"] = whole.additional_kwargs.get("refusal") or ""
    result["reasoning"] = whole.additional_kwargs.get("reasoning_content") or ""
    result["calls"] = [[call["name"], call["args"]] for call in whole.tool_call_chunks]
    result["finish"] = whole.response_metadata.get("finish_reason")


if __name__ == "__main__":
    main()
