"""Reads streams through the official Python SDK, exactly as installed, and prints what it got as JSON.

Usage: read_python.py BASE_URL < CASES, where CASES is a JSON list of
  {"request": {…}, "headers": {…}, "retries": N, "timeout": SECONDS}
Of each comes {"role", "text", "reasoning", "refusal", "calls": [[name, arguments]…], "finish", "error"}, with null or
nothing for what the client does not show. The other `read_` probes speak the same language.
"""

import json
import sys

import openai


def main() -> None:
    with openai.OpenAI(base_url=sys.argv[1], api_key="sk-none") as client:
        print(json.dumps([read(client, case) for case in json.load(sys.stdin)]))


def read(client: openai.OpenAI, case: dict) -> dict:
    client = client.with_options(max_retries=case.get("retries", 0), timeout=case.get("timeout", 30))
    result = nothing()
    try:
        with client.chat.completions.create(**case["request"], stream=True, extra_headers=case["headers"]) as stream:
            for chunk in stream:
                for choice in chunk.choices:
                    add(result, choice)
    except Exception as error:  # whatever it is, it is what a user of the SDK meets
        result["error"] = described(error)
    return result


def nothing() -> dict:
    return {"role": None, "text": "", "reasoning": "", "refusal": "", "calls": [], "finish": None, "error": None}


def add(result: dict, choice) -> None:
    delta = choice.delta
    result["role"] = result["role"] or delta.role
    result["text"] += delta.content or ""
    result["refusal"] += delta.refusal or ""
    # OpenAI has no such member, so that the SDK has no name for it.
    result["reasoning"] += getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or ""
    for call in delta.tool_calls or []:
        if call.index == len(result["calls"]):
            result["calls"].append([call.function.name, ""])
        result["calls"][call.index][1] += call.function.arguments or ""
    result["finish"] = choice.finish_reason or result["finish"]


def described(error: BaseException) -> dict:
    module = type(error).__module__.partition(".")[0]
    name = type(error).__name__
    is_known = module in ("builtins", "openai", "langchain_openai")
    return {"name": name if is_known else f"{module}.{name}", "message": str(error)[:200]}


if __name__ == "__main__":
    main()
