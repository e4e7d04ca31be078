"""With nothing but the official SDKs: streams are come back to, queued, and kept."""

import httpx

import resuming
import sse

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "How does a token fall? 🌊"}], "seed": 7, "max_tokens": 24}
SHORT = REQUEST | {"max_tokens": 8}


def test_a_plain_get_brings_what_was_not_read(sdk, proxy):
    whole, *broken, finished = resuming.ask(
        sdk,
        proxy.base_url,
        {"do": "stream", "request": REQUEST},
        *({"do": "come_back", "request": REQUEST, "take": take} for take in (1, 9, 24, None)),
    )
    assert whole["error"] is None and resuming.is_whole(whole["chunks"])
    for answer in broken:
        assert answer["error"] is None
        assert answer["rest"], "there was nothing left to come back for"
        assert resuming.without_ids(answer["chunks"] + answer["rest"]) == resuming.without_ids(whole["chunks"])
        assert resuming.text(answer["chunks"]) + resuming.text(answer["rest"]) == resuming.text(whole["chunks"])
    # Who has read everything is told that it is over.
    assert finished["error"] is None and finished["rest"] == []
    assert resuming.without_ids(finished["chunks"]) == resuming.without_ids(whole["chunks"])


def test_a_plain_get_goes_on_while_tokens_still_fall(sdk, beating_proxy):
    whole, broken = resuming.ask(
        sdk,
        beating_proxy.base_url,
        {"do": "stream", "request": SHORT},
        {"do": "come_back", "request": SHORT, "take": 3},
    )
    assert whole["error"] is None and broken["error"] is None
    assert resuming.without_ids(broken["chunks"] + broken["rest"]) == resuming.without_ids(whole["chunks"])


def test_a_queued_completion_is_followed_by_its_id_and_by_its_url(sdk, proxy):
    whole, queued = resuming.ask(
        sdk, proxy.base_url, {"do": "stream", "request": REQUEST}, {"do": "background", "request": REQUEST}
    )
    assert whole["error"] is None and queued["error"] is None
    assert queued["queued"]["status"] == "queued"
    assert resuming.without_ids(queued["chunks"]) == resuming.without_ids(whole["chunks"])
    assert {chunk["id"] for chunk in queued["chunks"]} == {queued["queued"]["id"]}

    # The URL holds the ticket: this client has no key.
    body = httpx.get(queued["queued"]["stream_url"], timeout=10).content
    opening, *events = body.replace(sse.LINE_HEARTBEAT, b"").split(b"\n\n")
    assert opening == b"retry: 2000\nid: 1-0" and events.pop() == b""
    assert [event.splitlines()[0] for event in events] == [b"id: 1-%d" % seq for seq in range(1, len(events) + 1)]
    assert len(events) == len(whole["chunks"]) + 1 and events[-1].endswith(b"\ndata: [DONE]")


def test_a_stored_completion_is_kept_as_the_sdk_expects_it(sdk, mock):
    labels = {"run": "first", "sdk": sdk.name}
    call = {"do": "store", "request": REQUEST | {"metadata": labels}, "labels": {"seen": sdk.name}}
    (answer,) = resuming.ask(sdk, mock.base_url, call)
    made = answer["made"]
    assert [stored["id"] for stored in answer["listed"]] == [made["id"]]
    assert answer["listed"][0]["metadata"] == labels
    assert answer["retrieved"]["choices"] == made["choices"] and answer["retrieved"]["usage"] == made["usage"]
    assert answer["retrieved"]["metadata"] == labels
    (message,) = answer["messages"]
    assert (message["role"], message["content"]) == ("user", REQUEST["messages"][0]["content"]) and message["id"]
    assert (answer["updated"]["id"], answer["updated"]["metadata"]) == (made["id"], {"seen": sdk.name})
    assert answer["deleted"] == {"object": "chat.completion.deleted", "id": made["id"], "deleted": True}
    assert answer["left"] == []
    # Of the last thing it tried: to retrieve it once more.
    assert (answer["error"][0]["class"], answer["error"][0]["status"]) == ("NotFoundError", 404)
