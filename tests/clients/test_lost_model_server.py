"""A real llama.cpp server is killed in the middle of a stream, and started again."""

import contextlib
import json

import httpx
import pytest

import sse
from model_server import model_server

REQUEST = {
    "model": "tiny-random",
    "messages": [{"role": "user", "content": "zzz"}],
    "temperature": 0,
    "seed": 3,
    "max_tokens": 400,
    # llama.cpp's own field: random weights would end where they like.
    "ignore_eos": True,
    "stream": True,
    "stream_options": {"include_usage": True},
}


@pytest.fixture
def two_servers(tmp_path):
    with contextlib.ExitStack() as stack:
        folders = [tmp_path / name for name in "ab"]
        for folder in folders:
            folder.mkdir()
        yield [stack.enter_context(model_server(folder)) for folder in folders]


def test_a_killed_server_is_an_error_and_a_restarted_one_answers_again(serve, tmp_path):
    (tmp_path / "again").mkdir()
    with model_server(tmp_path) as server, serve("--upstream", server.base_url) as proxy:
        events = ask_and_kill(proxy, server)
        assert events[-1] == b"[DONE]"
        assert json.loads(events[-2])["error"]["code"] == "upstream_truncated"
        assert ask(proxy, REQUEST)[0] == 502
        with model_server(tmp_path / "again", server.port):
            status, events = ask(proxy, REQUEST | {"max_tokens": 5})
        assert status == 200 and events[-1] == b"[DONE]"
        assert b'"finish_reason":"length"' in b"".join(events)


def test_another_server_goes_on_with_what_a_killed_one_has_said(serve, two_servers):
    first, second = two_servers
    upstreams = ", ".join(f'{{ base_url = "{server.base_url}" }}' for server in two_servers)
    config = f'[[models]]\nname = "tiny-random"\non_upstream_loss = "continue"\nupstreams = [{upstreams}]\n'
    with serve(config=config) as proxy:
        whole = text_of(ask(proxy, REQUEST)[1])
        events = ask_and_kill(proxy, first)
        chunks = [json.loads(event) for event in events[:-1]]
        view = httpx.get(f"{proxy.base_url}/chat/completions/{chunks[0]['id']}").json()
    assert events[-1] == b"[DONE]"
    assert not any("error" in chunk for chunk in chunks), chunks[-1]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert sum("role" in choice["delta"] for chunk in chunks for choice in chunk["choices"]) == 1
    (seam,) = view["continued_after"]
    assert 1 < seam < len(chunks)
    said = text_of(events[:seam])
    # Up to the seam greedy noise is the same; from there on the text may be cut into other tokens.
    assert whole.startswith(said) and len(text_of(events)) > len(said)
    assert view["choices"][0]["finish_reason"] == "length"
    usage = chunks[-1]["usage"]
    assert usage == {name: view["usage"][name] for name in usage}
    assert view["usage_source"] == "estimated"
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def ask(proxy, request) -> tuple[int, list[bytes]]:
    response = httpx.post(f"{proxy.base_url}/chat/completions", json=request, timeout=60)
    return response.status_code, sse.payloads(response.content) if response.status_code == 200 else []


def ask_and_kill(proxy, server) -> list[bytes]:
    """The events of a stream whose server was killed when the first text was there."""
    received = b""
    with httpx.stream("POST", f"{proxy.base_url}/chat/completions", json=REQUEST, timeout=60) as response:
        for read in response.iter_raw():
            received += read
            if not server.is_killed and received.count(b'"content":"') > 3:
                server.kill()
    assert server.is_killed
    return sse.payloads(received)


def text_of(events: list[bytes]) -> str:
    chunks = [json.loads(event) for event in events if event != b"[DONE]"]
    deltas = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta for delta in deltas if delta)
