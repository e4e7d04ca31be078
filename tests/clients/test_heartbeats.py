"""Heartbeats stand in every gap of a stream, in the form its reader can bear, and no SDK takes notice of them."""

import re
import threading

import httpx
import pytest

import sse
import upstream
from conftest import HEARTBEAT_IN_EVERY_GAP

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "Say it slowly"}], "seed": 11, "max_tokens": 24}
STREAM = REQUEST | {"stream": True}

FORMS = pytest.mark.parametrize(
    "headers, form",
    [({"x-stainless-lang": "python"}, sse.LINE_HEARTBEAT), ({}, sse.BLOCK_HEARTBEAT)],
    ids=["a-line-for-an-sdk", "a-block-for-anyone-else"],
)


def test_no_sdk_sees_a_heartbeat(sdk, beating_server):
    stream, whole = sdk.ask(beating_server.base_url, {"request": STREAM}, {"request": REQUEST})
    assert stream.error is None
    assert stream.choices() == whole.choices()
    assert all(chunk["object"] == "chat.completion.chunk" and chunk["choices"] for chunk in stream.chunks)


@FORMS
def test_heartbeats_add_nothing_else_to_the_bytes(beating_server, headers, form):
    body = httpx.post(f"{beating_server.base_url}/chat/completions", json=STREAM, headers=headers, timeout=20).content
    assert body.startswith(form * 5), "the mock thinks for 300 ms: there is time for more than five"
    assert re.search(rb"}\n\n" + form + rb"(:|data)", body), "no heartbeat between two chunks"
    assert sse.payloads(sse.without_heartbeats(body, form))[-1] == b"[DONE]"


@FORMS
def test_there_is_a_heartbeat_in_every_gap(serve, headers, form):
    """The upstream says nothing more until the reader has seen the gap filled."""
    events = [upstream.event({"content": word}) for word in ("one", " two", " three")]
    events += [upstream.event({}, "stop"), b"data: [DONE]\n\n"]
    filled = threading.Semaphore(0)

    def waits_in_every_gap(connection):
        connection.sendall(upstream.EVENT_STREAM + b"connection: close\r\n\r\n")
        for event in events:
            assert filled.acquire(timeout=10), "no heartbeat was seen"
            connection.sendall(event)

    with upstream.scripted(waits_in_every_gap) as url, serve("--upstream", url, env=HEARTBEAT_IN_EVERY_GAP) as proxy:
        body, gaps = b"", 0
        with httpx.stream("POST", f"{proxy.base_url}/chat/completions", json=STREAM, headers=headers, timeout=10) as response:
            for piece in response.iter_raw():
                body += piece
                if body.endswith(form) and body.count(b"data: ") == gaps:
                    gaps += 1
                    filled.release()
    assert gaps == len(events), f"only {gaps} gaps were filled before {body!r}"
    said = sse.payloads(sse.without_heartbeats(body, form))
    assert [b"one" in said[0], b" two" in said[1], b" three" in said[2], b"stop" in said[3], said[4] == b"[DONE]"] == [True] * 5
