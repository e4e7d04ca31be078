"""Over the resuming transport an ordinary loop reads on through cuts; where nobody resumes, nothing changes."""

import itertools

import pytest

import resuming
import upstream
from cutting import Cut, cutting

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "How does a token fall? 🌊"}], "seed": 7, "max_tokens": 24}
SHORT = REQUEST | {"max_tokens": 8}
HOWS = ("fin", "reset", "end")


def test_a_loop_over_three_cuts_notices_none(sdk, server):
    requests = [REQUEST, REQUEST | {"n": 3, "stream_options": {"include_usage": True}}]
    # Before the first event, in events, between them.
    places = itertools.cycle([(0, 1500, 0), (301, 2, 650), (1024, 300, 1999)])
    cuts = [[Cut(at, how) for at in next(places)] for how in HOWS for _ in requests]
    whole = [{"do": "stream", "request": request} for request in requests]
    cut = [call | {"resuming": True} for _ in HOWS for call in whole]
    with cutting(server.url) as proxy:
        proxy.plan = [None] * len(whole) + [entry for three in cuts for entry in (*three, None)]
        answers = resuming.ask(sdk, proxy.base_url, *whole, *cut)
    assert proxy.made == [entry for three in cuts for entry in three]
    assert proxy.methods() == ["POST"] * len(whole) + ["POST", "GET", "GET", "GET"] * len(cut)
    references, resumed = answers[: len(whole)], answers[len(whole) :]
    for reference, answer in zip(itertools.cycle(references), resumed):
        assert reference["error"] is None and answer["error"] is None
        assert resuming.without_ids(answer["chunks"]) == resuming.without_ids(reference["chunks"])


def test_a_loop_over_three_cuts_notices_none_while_tokens_still_fall(sdk, beating_proxy):
    # Heartbeats stand before the first event, and in every gap.
    cuts = [[Cut(21, how), Cut(10, how), Cut(1700, how)] for how in HOWS]
    whole = {"do": "stream", "request": SHORT}
    with cutting(beating_proxy.url) as proxy:
        proxy.plan = [None] + [entry for three in cuts for entry in (*three, None)]
        reference, *resumed = resuming.ask(sdk, proxy.base_url, whole, *[whole | {"resuming": True}] * len(cuts))
    assert proxy.made == [entry for three in cuts for entry in three]
    assert [asked.target.rpartition("=")[2] for asked in proxy.asked[2:4]] == ["0", "0"], "before the first event"
    for answer in resumed:
        assert reference["error"] is None and answer["error"] is None
        assert resuming.without_ids(answer["chunks"]) == resuming.without_ids(reference["chunks"])


def test_a_loop_that_is_left_asks_for_no_more(sdk, beating_proxy):
    with cutting(beating_proxy.url) as proxy:
        left, whole = resuming.ask(
            sdk,
            proxy.base_url,
            {"do": "stream", "request": SHORT, "resuming": True, "take": 2},
            {"do": "stream", "request": SHORT, "resuming": True},
        )
    assert left["error"] is None and len(left["chunks"]) == 2
    assert whole["error"] is None and resuming.is_whole(whole["chunks"])
    assert proxy.methods() == ["POST", "POST"]


def test_the_key_goes_along_and_the_ticket_is_not_needed(sdk, keyed_server):
    with cutting(keyed_server.url) as proxy:
        proxy.plan = [Cut(900, "fin")]
        call = {"do": "stream", "request": REQUEST, "resuming": True}
        (answer,) = resuming.ask(sdk, proxy.base_url, call, api_key="sk-right")
    assert answer["error"] is None and resuming.is_whole(answer["chunks"])
    assert [asked.headers["authorization"] for asked in proxy.asked] == ["Bearer sk-right"] * 2
    assert "ticket" not in proxy.asked[1].target


CHUNKED = b"transfer-encoding: chunked\r\n"
NAMED = b"x-completion-id: chatcmpl-named\r\n"
# Else a client would try for another reply on the same connection, and sometimes be too late.
LAST = b"connection: close\r\n"
START = upstream.event({"role": "assistant", "content": ""}) + upstream.event({"content": "so far"})
HALF = upstream.event({"content": " so good"})[:-20]
END = upstream.event({}, "stop") + b"data: [DONE]\n\n"


def whole(body: bytes, *headers: bytes) -> bytes:
    return cut(body, LAST, *headers) + upstream.transfer_chunk(b"")


def cut(body: bytes, *headers: bytes) -> bytes:
    return upstream.EVENT_STREAM + b"".join(headers) + CHUNKED + b"\r\n" + upstream.transfer_chunk(body)


def refusal(status: str) -> bytes:
    error = {"message": "no", "type": None, "param": None, "code": None}
    return upstream.json_reply(status, {"error": error}, "connection: close")


UNRESUMABLE = {
    "good": whole(START + END),
    "with CRLF": whole((START + END).replace(b"\n", b"\r\n")),
    "without [DONE]": whole(START),
    "cut": cut(START + HALF),
    "closed": upstream.EVENT_STREAM + LAST + b"\r\n" + START,
    "refuses after a cut": cut(START + HALF, NAMED),
    "refuses after an end": whole(START, NAMED),
    "error": refusal("503 Service Unavailable"),
}


def test_where_nobody_resumes_nothing_changes(sdk):
    replies = []
    for reply in UNRESUMABLE.values():
        # To the plain client, to the resuming one, and to what that asks then.
        replies += [reply, reply, *([refusal("404 Not Found")] if NAMED in reply else [])]
    to_come = iter(replies)
    call = {"do": "stream", "request": REQUEST}
    with upstream.scripted(lambda connection: connection.sendall(next(to_come))) as url:
        answers = resuming.ask(sdk, url, *[call, call | {"resuming": True}] * len(UNRESUMABLE))
    assert next(to_come, None) is None, "a follow-up that was to come did not"
    for name, plain, resumed in zip(UNRESUMABLE, answers[::2], answers[1::2]):
        assert resumed == plain, name
        assert resuming.text(plain["chunks"]) == ("" if name == "error" else "so far"), name
        assert (plain["error"] is not None) == (name in ("cut", "refuses after a cut", "error")), name


@pytest.fixture(scope="module")
def keyed_server(serve):
    with serve("--instant", config='[auth]\nkeys = [{ name = "ci", key = "sk-right" }]\n') as server:
        yield server
