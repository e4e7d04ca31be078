"""Asks for everything but chats through the official Python SDK, and prints what came back as JSON.

Usage: endpoints_python.py BASE_URL API_KEY CALLS, where CALLS is a JSON list of
  {"do": "embeddings" | "moderations" | "completions", "request": {…}}  as the SDK's own method takes it
  {"do": "delete_model", "name": "…"}
A streamed completion comes back as the list of its chunks, an `APIError` as {"error": …}. The Node probe speaks
the same language.
"""

import json
import sys

import openai


def main() -> None:
    base_url, api_key, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    with openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=30) as client:
        print(json.dumps([answer(client, call) for call in calls]))


def answer(client: openai.OpenAI, call: dict) -> object:
    try:
        return ask(client, call)
    except openai.APIError as error:
        return {"error": {"status": getattr(error, "status_code", None), "param": error.param, "code": error.code}}


def ask(client: openai.OpenAI, call: dict) -> object:
    if call["do"] == "delete_model":
        return client.models.delete(call["name"]).to_dict()
    answer = getattr(client, call["do"]).create(**call["request"])
    if call["request"].get("stream"):
        return [chunk.to_dict() for chunk in answer]
    return answer.to_dict()


main()
