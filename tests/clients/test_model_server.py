"""Through the proxy, a real llama.cpp server's answers are its own bytes: only the id is ours.

Compared is a direct answer with a proxied one to the same seeded request. Between two runs of the same request the
server itself changes its id, `created`, and what it measured; nothing else may differ.
"""

import re
import subprocess

import httpx
import pytest

from binary import BINARY, clean_environment
import sse
from model_server import model_server

REQUEST = {
    "model": "tiny-random",
    # Of all prompts this is one to which greedy noise answers with more than one word, and not only in ASCII.
    "messages": [{"role": "user", "content": "zzz"}],
    "temperature": 0,
    "seed": 3,
    "max_tokens": 32,
    # llama.cpp's own field; without it the second of two equal requests finds its prompt in the cache, and says so.
    "cache_prompt": False,
}
STREAM = REQUEST | {"stream": True}
WITH_USAGE = STREAM | {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "fields",
    [{}, {"temperature": 1.5}, {"logprobs": True, "top_logprobs": 2}, {"return_progress": True}],
    ids=["greedy", "sampled", "logprobs", "progress"],
)
def test_a_stream_is_byte_for_byte_the_upstreams(llama, through, fields):
    direct = stream(llama, WITH_USAGE | fields)
    proxied = stream(through, WITH_USAGE | fields)
    assert comparable(proxied) == comparable(direct)
    assert b'"timings":{' in proxied[-2] and b'"usage":{' in proxied[-2]


def test_a_stream_that_did_not_ask_for_usage_lacks_only_the_usage_chunk(llama, through):
    direct = stream(llama, WITH_USAGE)
    usage_chunk = direct.pop(-2)
    assert b'"choices":[]' in usage_chunk
    assert comparable(stream(through, STREAM)) == comparable(direct)


def test_an_upstream_not_asked_for_usage_is_not_changed_at_all(serve, llama):
    """llama.cpp puts its `timings` on the usage chunk when there is one, else on the last: nothing is lost here."""
    config = f'[[models]]\nname = "tiny-random"\nupstreams = [{{ base_url = "{llama}", ask_usage = false }}]\n'
    with serve(config=config) as proxy:
        proxied = stream(proxy.base_url, STREAM)
    assert comparable(proxied) == comparable(stream(llama, STREAM))
    assert b'"timings":{' in proxied[-2]


def test_two_choices_are_each_the_upstreams_own(llama, through):
    direct, proxied = (comparable(stream(base_url, WITH_USAGE | {"n": 2})) for base_url in (llama, through))
    # How the two interleave is up to the server's threads.
    for index in (b'"index":0', b'"index":1'):
        assert [chunk for chunk in proxied if index in chunk] == [chunk for chunk in direct if index in chunk]
    assert sorted(proxied) == sorted(direct)


def test_every_chunk_has_the_one_id_of_the_head(through):
    with httpx.stream("POST", f"{through}/chat/completions", json=WITH_USAGE, timeout=30) as response:
        *chunks, done = sse.payloads(response.read())
    ids = {ID.search(chunk).group() for chunk in chunks}
    assert ids == {b'"id":"%s"' % response.headers["x-completion-id"].encode()}
    assert done == b"[DONE]"


def test_a_whole_completion_is_byte_for_byte_the_upstreams(llama, through):
    direct = httpx.post(f"{llama}/chat/completions", json=REQUEST, timeout=30)
    proxied = httpx.post(f"{through}/chat/completions", json=REQUEST, timeout=30)
    assert proxied.headers["content-type"].startswith("application/json")
    assert comparable([proxied.content]) == comparable([direct.content])
    assert proxied.json()["id"] != direct.json()["id"]


@pytest.mark.parametrize("request_body", [STREAM, REQUEST], ids=["stream", "whole"])
def test_a_refusal_is_byte_for_byte_the_upstreams(llama, through, request_body):
    refused = request_body | {"response_format": {"type": "nonsense"}}
    direct = httpx.post(f"{llama}/chat/completions", json=refused, timeout=30)
    proxied = httpx.post(f"{through}/chat/completions", json=refused, timeout=30)
    assert direct.status_code == 400, "or this test has nothing to compare"
    assert (proxied.status_code, proxied.content) == (direct.status_code, direct.content)


def test_every_sdk_reads_it(sdk, through):
    # The Python SDKs take only fields that they know.
    asked = [{name: value for name, value in body.items() if name != "cache_prompt"} for body in (WITH_USAGE, REQUEST)]
    streamed, whole = sdk.ask(through, *({"request": body} for body in asked))
    assert streamed.error is None and whole.error is None
    assert streamed.text()
    assert streamed.choices() == whole.choices()
    assert streamed.chunks[-1]["usage"]["total_tokens"] == whole.completion["usage"]["total_tokens"]


def test_chat_prints_its_answer_and_names_its_model(llama, through):
    """The server's first model is asked, and cannot resume; the proxy's answer is the same."""
    models = httpx.get(f"{llama}/models").json()["data"]
    request = {"model": models[0]["id"], "messages": STREAM["messages"], "temperature": 0, "max_tokens": 32}
    whole = httpx.post(f"{llama}/chat/completions", json=request, timeout=30).json()["choices"][0]
    for base_url in (llama, through):
        command = [BINARY, "chat", "--base-url", base_url, "--temperature", "0", "--max-tokens", "32", "--stats", "zzz"]
        told = subprocess.run(command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        assert told.stdout.rstrip("\n") == whole["message"]["content"].rstrip("\n")
        assert re.search(r"tokenfall: \d+ tokens, the first after ", told.stderr), told.stderr
        assert ("cut short" in told.stderr) == (whole["finish_reason"] == "length")


@pytest.fixture(scope="module")
def recorded(serve, llama, tmp_path_factory):
    """A folder of cassettes, and what was received while they were recorded."""
    folder = tmp_path_factory.mktemp("cassettes")
    with serve("--upstream", llama, "--cassettes", str(folder), "--on-miss", "record") as recorder:
        received = [httpx.post(f"{recorder.base_url}/chat/completions", json=body, timeout=30) for body in RECORDED]
    assert len(list(folder.glob("*.yaml"))) == len(RECORDED)
    return folder, received


def test_a_replay_is_byte_for_byte_what_was_recorded_but_for_our_id(serve, recorded):
    folder, received = recorded
    with serve("--cassettes", str(folder), "--speed", "1000") as replay:
        for body, before in zip(RECORDED, received, strict=True):
            first, second = (httpx.post(f"{replay.base_url}/chat/completions", json=body, timeout=30) for _ in range(2))
            assert first.status_code == before.status_code
            assert first.headers["content-type"].startswith(before.headers["content-type"].split(";")[0])
            assert ID.sub(b"", first.content) == ID.sub(b"", before.content)
            # The server's own id, which the recording client did not see.
            assert first.content == second.content
            if first.status_code == 200:
                assert ID.findall(first.content) != ID.findall(before.content)


def test_one_other_character_is_refused_with_what_differs(serve, recorded):
    folder, _ = recorded
    with serve("--cassettes", str(folder)) as replay:
        other = STREAM | {"messages": [{"role": "user", "content": "zzy"}]}
        refused = httpx.post(f"{replay.base_url}/chat/completions", json=other, timeout=30)
    assert refused.status_code == 404
    error = refused.json()["error"]
    assert error["code"] == "mock_no_cassette"
    assert error["message"].endswith('\n  messages[0].content: recorded "zzz", asked "zzy"'), error


def test_every_sdk_reads_a_replay(sdk, serve, llama, tmp_path):
    asked = [{name: value for name, value in body.items() if name != "cache_prompt"} for body in (WITH_USAGE, REQUEST)]
    asked = [{"request": body} for body in asked]
    with serve("--upstream", llama, "--cassettes", str(tmp_path), "--on-miss", "record") as recorder:
        recorded = sdk.ask(recorder.base_url, *asked)
    with serve("--cassettes", str(tmp_path), "--instant") as replay:
        replayed = sdk.ask(replay.base_url, *asked)
    for before, after in zip(recorded, replayed, strict=True):
        assert after.error is None
        assert after.choices() == before.choices()


def test_the_server_still_answers_in_the_recorded_shape(llama, recorded):
    folder, _ = recorded
    command = [BINARY, "check", "--cassettes", str(folder), "--against", llama]
    checked = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RECORDED)} as recorded, 0 drifted." in checked.stdout


RECORDED = [STREAM, WITH_USAGE, REQUEST, REQUEST | {"response_format": {"type": "nonsense"}}]
ID = re.compile(rb'"id":"[^"]*"')
CREATED = re.compile(rb'"created":\d+')
MEASURED = re.compile(rb'(_ms|_per_second)":[^,}]+')


def comparable(payloads: list[bytes]) -> list[bytes]:
    """Payloads with the values of the id and of clocks replaced; every name, the order and all else stay."""
    found = []
    for payload in payloads:
        payload = ID.sub(b'"id":""', payload)
        payload = CREATED.sub(b'"created":0', payload)
        found.append(MEASURED.sub(rb'\1":0', payload))
    return found


def stream(base_url: str, request: dict) -> list[bytes]:
    response = httpx.post(f"{base_url}/chat/completions", json=request, timeout=30)
    assert response.status_code == 200, response.text
    payloads = sse.payloads(response.content)
    assert len(payloads) > 3, payloads
    return payloads


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """The base URL of the model server."""
    with model_server(tmp_path_factory.mktemp("llama")) as server:
        yield server.base_url


@pytest.fixture(scope="module")
def through(serve, llama):
    """The base URL of the proxy in front of it."""
    with serve("--upstream", llama) as proxy:
        yield proxy.base_url
