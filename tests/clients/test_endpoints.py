"""The official SDKs get embeddings, moderations, legacy completions and deletions, of the mock and through the proxy."""

import json
import math

from sdk import Sdk, run_probe

PROBE_OF = {"openai_python.py": "endpoints_python.py", "openai_node.mjs": "endpoints_node.mjs"}


def ask(sdk: Sdk, base_url: str, *calls: dict) -> list:
    """Makes the calls in order."""
    command = [PROBE_OF.get(part, part) for part in sdk.command]
    return json.loads(run_probe(*command, base_url, "sk-none", json.dumps(calls)))


def embeddings(**request) -> dict:
    return {"do": "embeddings", "request": {"model": "text-embedding-3-small", **request}}


def completions(**request) -> dict:
    return {"do": "completions", "request": {"model": "any", "seed": 7, **request}}


def vectors(answer: dict) -> list[list[float]]:
    return [item["embedding"] for item in answer["data"]]


def cosine(a: list[float], b: list[float]) -> float:
    return math.sumprod(a, b) if hasattr(math, "sumprod") else sum(x * y for x, y in zip(a, b))


def test_embeddings_are_the_same_numbers_in_every_encoding(sdk, server):
    texts = ["How do I reset my password?", "I forgot my password: how to reset it?", "Lisbon is sunny."]
    default, floats, base64, short = ask(
        sdk,
        server.base_url,
        embeddings(input=texts),
        embeddings(input=texts, encoding_format="float"),
        embeddings(input=texts[0], encoding_format="base64"),
        embeddings(input=texts, dimensions=3),
    )
    # Who asks for nothing gets base64, which the SDK has made numbers of; who asks for it gets the text.
    assert isinstance(base64["data"][0]["embedding"], str)
    for one, other in zip(vectors(default), vectors(floats), strict=True):
        assert len(one) == 1536 and math.isclose(cosine(one, one), 1, abs_tol=1e-5)
        assert all(math.isclose(x, y, rel_tol=1e-6) for x, y in zip(one, other, strict=True))
    question, similar, different = vectors(default)
    assert cosine(question, similar) > cosine(question, different) + 0.3
    assert [len(vector) for vector in vectors(short)] == [3, 3, 3]
    assert default["usage"] == floats["usage"] and default["usage"]["prompt_tokens"] > 10


def test_a_moderation_flags_what_a_text_names(sdk, server):
    (answer,) = ask(sdk, server.base_url, {"do": "moderations", "request": {"input": ["Hello.", "I want to kill them."]}})
    hello, threat = answer["results"]
    assert not hello["flagged"] and not any(hello["categories"].values())
    assert threat["flagged"] and threat["categories"]["violence"] and threat["category_scores"]["violence"] > 0.9


def test_a_legacy_stream_says_what_the_whole_completion_says(sdk, server):
    request = {"prompt": ["Once upon a time", "🌊"], "n": 2, "max_tokens": 24}
    usage = {"stream_options": {"include_usage": True}}
    stream, whole = ask(sdk, server.base_url, completions(**request, **usage, stream=True), completions(**request))
    *chunks, last = stream
    told = {}
    for chunk in chunks:
        (choice,) = chunk["choices"]
        text, finish_reason = told.get(choice["index"], ("", None))
        assert finish_reason is None, f"after its finish, choice {choice['index']} goes on"
        told[choice["index"]] = text + choice["text"], choice["finish_reason"]
    assert sorted(told) == [0, 1, 2, 3] and all(text for text, _ in told.values())
    assert told == {choice["index"]: (choice["text"], choice["finish_reason"]) for choice in whole["choices"]}
    assert last["choices"] == [] and last["usage"] == whole["usage"]
    assert {chunk["object"] for chunk in stream} == {whole["object"]} == {"text_completion"}
    assert len({chunk["id"] for chunk in stream}) == 1 and whole["id"].startswith("cmpl-")


def test_a_model_is_deleted_by_a_name_with_colons_or_slashes(sdk, server):
    names = ["ft:gpt-4o-mini:acemeco:suffix:abc123", "meta-llama/Llama-3"]
    answers = ask(sdk, server.base_url, *({"do": "delete_model", "name": name} for name in names))
    assert answers == [{"id": name, "object": "model", "deleted": True} for name in names]


def test_what_cannot_be_embedded_is_an_error_that_names_the_field(sdk, server):
    (answer,) = ask(sdk, server.base_url, embeddings(input=[]))
    assert answer == {"error": {"status": 400, "param": "input", "code": None}}
