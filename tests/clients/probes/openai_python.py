"""Asks a server through the official Python SDK, exactly as installed, and prints what came back as JSON.

Usage: openai_python.py BASE_URL API_KEY CALLS, where CALLS is a JSON list of
  {"request": {…}}              a completion, streamed or not as the request says
  {"request": {…}, "take": N}   the same, closed after N chunks
  {"request": {…}, "fold": true}  streamed and put together by the SDK itself
  {"request": {…}, "retries": N}  tried again by the SDK up to N times
All calls are made in order by one client. The Node probe speaks the same language.
"""

import json
import sys

import openai


def main() -> None:
    base_url, api_key, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    with openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=30) as client:
        print(json.dumps([answer(client, call) for call in calls]))


def answer(client: openai.OpenAI, call: dict) -> dict:
    result = {"chunks": [], "completion": None, "error": None}
    try:
        ask(client, call, result)
    except openai.APIError as error:
        result["error"] = {
            "classes": [kind.__name__ for kind in type(error).__mro__],
            "status": getattr(error, "status_code", None),
            "message": error.message,
            "param": error.param,
            "code": error.code,
            "type": error.type,
        }
    return result


def ask(client: openai.OpenAI, call: dict, result: dict) -> None:
    request, client = call["request"], client.with_options(max_retries=call.get("retries", 0))
    if call.get("fold"):
        with client.chat.completions.stream(**request) as stream:
            result["completion"] = stream.get_final_completion().to_dict()
    elif request.get("stream"):
        with client.chat.completions.create(**request) as stream:
            for chunk in stream:
                result["chunks"].append(chunk.to_dict())
                if len(result["chunks"]) == call.get("take"):
                    break
    else:
        result["completion"] = client.chat.completions.create(**request).to_dict()


main()
