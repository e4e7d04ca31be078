"""Streams through a real nginx with its default configuration: unbuffered, whole, and cancelled when the client goes."""

import time

import httpx
import pytest

import nginx

BODY = {"model": "m", "stream": True, "seed": 1, "messages": [{"role": "user", "content": "Hello nginx"}]}
KEEP_ALIVE = "proxy_http_version 1.1; proxy_set_header Connection '';"


@pytest.fixture(scope="module")
def paced(serve):
    with serve("--profile", "hosted", env={"TOKENFALL__STREAM__HEARTBEAT": "200ms", "TOKENFALL__STREAM__COMMIT_AFTER": "300ms"}) as server:
        yield server


@pytest.fixture(scope="module", params=["", KEEP_ALIVE], ids=["default", "keep-alive"])
def front(request, paced, tmp_path_factory):
    directory = tmp_path_factory.mktemp("nginx")
    # A stream that is silent for three seconds is cut, so heartbeats have to come through.
    more = request.param + "proxy_read_timeout 3s;"
    with nginx.in_front_of(paced.url, directory, more) as url:
        yield url


def post(url: str, body: dict = BODY, **headers):
    return httpx.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers, timeout=20)


def test_every_token_comes_through_as_it_is_made(front):
    # The ninth event is not sent as long as anyone waits for it: buffered, those before it would not come either.
    with post(front, **{"x-mock-fault": "stall@event=9"}) as reply:
        assert reply.status_code == 200
        read, pieces = b"", reply.iter_raw()
        while read.count(b"data: ") < 8:
            read += next(pieces)


def test_the_bytes_are_the_servers_own(front, paced):
    with post(paced.url) as direct, post(front) as through:
        # Heartbeats depend on the time.
        expected, actual = (reply.read().replace(b":\n\n", b"") for reply in (direct, through))
    assert actual == expected
    assert actual.endswith(b"data: [DONE]\n\n")
    assert through.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_heartbeats_keep_a_silent_stream_open(front):
    with post(front, BODY | {"max_tokens": 2}, **{"x-mock-profile": "hosted", "x-mock-speed": "0.04"}) as reply:
        # Seven seconds to the first token, with a cut after three seconds of silence.
        body = reply.read()
    assert body.count(b":\n\n") > 5
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_client_that_leaves_is_noticed_behind_it(front, paced):
    body = BODY | {"messages": [{"role": "user", "content": "Leave me"}]}
    with post(front, body, **{"x-stream-on-disconnect": "cancel", "x-mock-speed": "0.2"}) as reply:
        completion = reply.headers["x-completion-id"]
        next(reply.iter_raw())
    deadline = time.monotonic() + 30
    status = None
    while status != "cancelled" and time.monotonic() < deadline:
        status = httpx.get(f"{paced.url}/v1/chat/completions/{completion}").json()["status"]
        time.sleep(0.02)
    assert status == "cancelled"


def test_a_stream_is_read_on_through_it(front, paced):
    with post(paced.url) as reply:
        whole = reply.read().replace(b":\n\n", b"")
        completion = reply.headers["x-completion-id"]
    events = whole.split(b"\n\n")
    url = f"{front}/v1/chat/completions/{completion}?stream=true&starting_after=5"
    rest = httpx.get(url).content
    assert rest == b"\n\n".join(events[5:])


def test_whole_replies_and_errors_come_through(front):
    whole = httpx.post(f"{front}/v1/chat/completions", json=BODY | {"stream": False}, timeout=20)
    assert whole.json()["choices"][0]["finish_reason"] == "stop"
    refused = httpx.post(f"{front}/v1/chat/completions", content=b"{", timeout=20)
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
