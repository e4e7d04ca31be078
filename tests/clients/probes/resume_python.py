"""Resumes, follows and keeps completions through the official Python SDK, and prints what came back as JSON.

Usage: resume_python.py BASE_URL API_KEY CALLS, where CALLS is a JSON list of objects with `do`:
  "stream"      `request` is streamed, if `resuming` over the resuming transport; closed after `take` chunks
  "come_back"   `request` is streamed and closed after `take` chunks; the rest comes by a plain `get`
  "background"  `request` is queued, and its stream comes by a plain `get`
  "store"       `request` is stored, and looked at in every way the SDK has
The Node probe speaks the same language.
"""

import json
import sys
from pathlib import Path

import openai
from openai import Stream
from openai.types.chat import ChatCompletionChunk

try:
    import httpx2 as httpx  # what the SDK is built on since 3.0
except ImportError:
    import httpx

sys.path.insert(0, str(Path(__file__).parents[3] / "clients/python"))
from tokenfall.resume import ResumingTransport  # noqa: E402


def main() -> None:
    base_url, api_key, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    options = {"base_url": base_url, "api_key": api_key, "max_retries": 0, "timeout": 30}
    transport = ResumingTransport(httpx.HTTPTransport())
    with (
        openai.OpenAI(**options) as plain,
        openai.OpenAI(**options, http_client=openai.DefaultHttpxClient(transport=transport)) as resuming,
    ):
        print(json.dumps([answer(resuming if call.get("resuming") else plain, call) for call in calls]))


def answer(client: openai.OpenAI, call: dict) -> dict:
    result = {"chunks": [], "error": None}
    try:
        CALLS[call["do"]](client, call, result)
    except (openai.APIError, httpx.TransportError) as error:
        result["error"] = [described(error), described(error.__cause__)]
    return result


def stream(client: openai.OpenAI, call: dict, result: dict) -> None:
    with client.chat.completions.create(**call["request"], stream=True) as chunks:
        for chunk in chunks:
            result["chunks"].append(chunk.to_dict())
            if len(result["chunks"]) == call.get("take"):
                break


def come_back(client: openai.OpenAI, call: dict, result: dict) -> None:
    stream(client, call, result)
    seen = result["chunks"]
    rest = follow(client, seen[-1]["id"], starting_after=len(seen))
    result["rest"] = [chunk.to_dict() for chunk in rest]


def background(client: openai.OpenAI, call: dict, result: dict) -> None:
    result["queued"] = client.chat.completions.create(**call["request"], extra_body={"background": True}).to_dict()
    result["chunks"] = [chunk.to_dict() for chunk in follow(client, result["queued"]["id"], starting_after=0)]


def follow(client: openai.OpenAI, id: str, starting_after: int) -> Stream[ChatCompletionChunk]:
    return client.get(
        f"/chat/completions/{id}",
        options={"params": {"stream": "true", "starting_after": starting_after}},
        cast_to=ChatCompletionChunk,
        stream=True,
        stream_cls=Stream[ChatCompletionChunk],
    )


def store(client: openai.OpenAI, call: dict, result: dict) -> None:
    completions, metadata = client.chat.completions, call["request"]["metadata"]
    made = completions.create(**call["request"], store=True)
    result["made"] = made.to_dict()
    result["listed"] = [stored.to_dict() for stored in completions.list(metadata=metadata, limit=1)]
    result["retrieved"] = completions.retrieve(made.id).to_dict()
    result["messages"] = [message.to_dict() for message in completions.messages.list(made.id)]
    result["updated"] = completions.update(made.id, metadata=call["labels"]).to_dict()
    result["deleted"] = completions.delete(made.id).to_dict()
    result["left"] = [stored.to_dict() for stored in completions.list(metadata=call["labels"])]
    completions.retrieve(made.id)


def described(error: BaseException | None) -> dict | None:
    return error and {
        "class": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
    }


CALLS = {"stream": stream, "come_back": come_back, "background": background, "store": store}
main()
