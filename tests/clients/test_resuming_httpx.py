"""The Python transport by itself: every cut at every byte, and when it lets be."""

import json
import re

import httpx
import pytest

from tokenfall import resume
from tokenfall.resume import DELAYS, ResumingTransport

URL = "http://server/v1/chat/completions"
WORDS = ("", "one", " データ: [DONE]\n\n", " 🌊", "")
PLAIN = [f"data: {json.dumps({'content': word}, ensure_ascii=False)}\n\n".encode() for word in WORDS] + [b"data: [DONE]\n\n"]
STREAMS = {
    "plain": PLAIN,
    "crlf": [event.replace(b"\n", b"\r\n") for event in PLAIN],
    "beating": [b":\n:\n" + event for event in PLAIN],
    "beating-in-blocks": [b":\n\n:\n\n" + event for event in PLAIN],
    "with-ids": [b"retry: 50\nid: 1-%d\n\nid: 1-%d\n" % (seq, seq + 1) + event for seq, event in enumerate(PLAIN)],
    "several-lines": [b"event: chunk\ndata:\ndata\n" + event for event in PLAIN],
}
ERRORS = (None, httpx.ReadError("reset"), httpx.RemoteProtocolError("incomplete"), httpx.ReadTimeout("silent"))


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("name", STREAMS)
def test_a_cut_at_any_byte_is_not_seen(name, size):
    events = STREAMS[name]
    body = b"".join(events)
    for at in range(len(body)):
        error = ERRORS[at % len(ERRORS)]
        # Again within what is left, be it `[DONE]` alone, and then before anything.
        server = Server(events, size, [(at, error), (at * 5 % len(PLAIN[-1]), error), (0, error)])
        with server.post() as response:
            read = response.read()
        assert data_of(read) == data_of(body), (at, error)
        assert read == body or name in ("beating-in-blocks", "with-ids"), (at, error)
        assert [request.method for request in server.asked] == ["POST", "GET", "GET", "GET"], (at, error)


@pytest.mark.parametrize("error", ERRORS)
def test_a_cut_after_the_end_is_not_seen_and_not_mended(error):
    server = Server(PLAIN, 4096, [(sum(map(len, PLAIN)), error)])
    with server.post() as response:
        assert response.read() == b"".join(PLAIN)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 302])
def test_a_refusal_brings_back_the_first_error_and_all_bytes(status, waits):
    server = Server(PLAIN, 4096, [(40, ERRORS[1])], follow_ups=[status])
    with server.post() as response, pytest.raises(httpx.ReadError, match="reset"):
        read = b""
        for piece in response.iter_bytes():
            read += piece
    assert read == b"".join(PLAIN)[:40]
    assert (len(server.asked), waits) == (2, [0])


@pytest.mark.parametrize("failure", [503, 429, httpx.ConnectError("refused")])
def test_it_gives_up_after_a_while(failure, waits):
    server = Server(PLAIN, 4096, [(40, ERRORS[1])], follow_ups=[failure] * len(DELAYS))
    with server.post() as response, pytest.raises(httpx.ReadError, match="reset"):
        response.read()
    assert len(server.asked) == 1 + len(DELAYS)
    assert all(delay / 2 <= waited <= delay for waited, delay in zip(waits, DELAYS, strict=True))


def test_a_new_event_gives_new_patience(waits):
    # Each follow-up but the last in a row fails; then it brings one event, and breaks.
    cut_after_one = [(len(event), ERRORS[1]) for event in PLAIN[:-1]]
    server = Server(PLAIN, 4096, cut_after_one, follow_ups=([503] * (len(DELAYS) - 1) + [200]) * (len(PLAIN) - 1))
    with server.post() as response:
        assert response.read() == b"".join(PLAIN)
    assert len(waits) == len(DELAYS) * (len(PLAIN) - 1)


def test_a_follow_up_keeps_what_the_request_was_made_with():
    server = Server(PLAIN, 4096, [(100, ERRORS[1])])
    headers = {"authorization": "Bearer sk", "cookie": "a=b", "x-stainless-lang": "python", "accept": "text/event-stream"}
    with server.post(headers=headers, params={"api-version": "1"}) as response:
        response.read()
    follow_up = server.asked[1]
    assert str(follow_up.url) == f"{URL}/chatcmpl-1?api-version=1&stream=true&starting_after=3"
    assert [follow_up.headers[name] for name in ("authorization", "cookie", "x-stainless-lang")] == ["Bearer sk", "a=b", "python"]
    # As an event source it would be answered otherwise, and compressed events cannot be counted.
    assert (follow_up.headers["accept"], follow_up.headers["accept-encoding"]) == ("*/*", "identity")
    assert not any(name.startswith("content-") for name in follow_up.headers)
    assert follow_up.extensions["timeout"]["read"] == 5


def test_the_ticket_stands_in_for_a_key_that_is_not_there():
    server = Server(PLAIN, 4096, [(100, ERRORS[1])])
    with server.post() as response:
        response.read()
    assert server.asked[1].url.params["ticket"] == "t.1"


@pytest.mark.parametrize(
    "url, headers",
    [
        (URL, {"x-completion-id": None}),
        (URL, {"content-encoding": "identity"}),
        (URL, {"content-type": "application/json"}),
        (URL.replace("chat/completions", "responses"), {}),
    ],
    ids=["no-id", "encoded", "no-stream", "elsewhere"],
)
def test_what_cannot_be_resumed_is_let_be(url, headers):
    server = Server(PLAIN, 4096, [(40, ERRORS[1])], head=headers)
    with server.post(url) as response, pytest.raises(httpx.ReadError):
        response.read()
    assert len(server.asked) == 1


def test_closing_closes_what_is_being_read():
    server = Server(PLAIN, 1, [(100, ERRORS[1])])
    with server.post() as response:
        pieces = response.iter_bytes()
        while len(server.bodies) < 2:
            next(pieces)
        assert [body.is_closed for body in server.bodies] == [True, False]
    assert [body.is_closed for body in server.bodies] == [True, True]


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """How long it would have waited, in seconds."""
    waited = []
    monkeypatch.setattr(resume.time, "sleep", waited.append)
    return waited


class Body(httpx.SyncByteStream):
    """Bytes in pieces, and how they end."""

    def __init__(self, content: bytes, size: int, error: Exception | None):
        self.content, self.size, self.error, self.is_closed = content, size, error, False

    def __iter__(self):
        for at in range(0, len(self.content), self.size):
            yield self.content[at : at + self.size]
        if self.error:
            raise self.error

    def close(self):
        self.is_closed = True


class Server(httpx.BaseTransport):
    """Answers the POST, and with the statuses or errors `follow_ups` the GETs. `cuts` are those of its streams."""

    def __init__(self, events, size, cuts, follow_ups=(), head=None):
        self.events, self.size, self.cuts, self.follow_ups = events, size, list(cuts), list(follow_ups)
        self.head = {"content-type": "text/event-stream", "x-completion-id": "chatcmpl-1", "x-stream-ticket": "t.1"} | (head or {})
        self.asked, self.bodies = [], []

    def post(self, url=URL, **options):
        return httpx.Client(transport=ResumingTransport(self)).stream("POST", url, json={}, **options)

    def handle_request(self, request):
        self.asked.append(request)
        status = self.follow_ups.pop(0) if self.follow_ups and request.method == "GET" else 200
        if isinstance(status, Exception):
            raise status
        if status != 200:
            return httpx.Response(status, json={})
        content = b"".join(self.events[int(request.url.params.get("starting_after", 0)) :])
        at, error = self.cuts.pop(0) if self.cuts else (len(content), None)
        self.bodies.append(Body(content[:at], self.size, error))
        head = {name: value for name, value in self.head.items() if value is not None}
        return httpx.Response(200, headers=head, stream=self.bodies[-1])


def data_of(body: bytes) -> list[bytes]:
    """The data of each event, whatever else there is."""
    blocks = re.split(rb"\n\n", body.replace(b"\r\n", b"\n"))
    lines = ([line for line in block.split(b"\n") if line.startswith(b"data")] for block in blocks)
    return [b"\n".join(found) for found in lines if found]
