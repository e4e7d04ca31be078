"""A real EventSource in Chromium, on a page of another origin, reads a queued completion through cuts to its end."""

import json
import shutil
import subprocess
import threading
import time

import httpx
import pytest

import browser
from binary import clean_environment
import resuming
from cutting import Cut, CuttingProxy, cutting
from sdk import PROBES

REQUEST = {"model": "any", "messages": [{"role": "user", "content": "How does a token fall? 🌊"}], "seed": 7, "max_tokens": 16}
RETRY = {"TOKENFALL__STREAM__RETRY": "50ms"}
# After the opening block and before any event, twice; in an event; between two.
CUTS = [Cut(24, "reset"), Cut(24, "fin"), Cut(700, "end"), Cut(900, "reset"), Cut(1200, "fin")]
# A request of this kind needs no preflight: a page may send it anywhere.
SIMPLE = {"content-type": "text/plain"}


def test_it_reads_on_through_cuts_to_the_end_and_stops(serve, page):
    with serve(env=RETRY) as server, cutting(server.url) as proxy:
        proxy.plan = list(CUTS)
        seen = follow(page, proxy, {"request": REQUEST, "headers": SIMPLE})
        expect_whole(seen, server)
        expect_reconnects(seen, proxy)
        assert proxy.methods() == ["POST"] + ["GET"] * (len(CUTS) + 2), "a preflight, or a request too many"


def test_a_key_goes_with_the_post_alone_and_the_ticket_does_the_rest(serve, page):
    config = '[auth]\nkeys = [{ name = "page", key = "sk-page" }]\n'
    headers = {"content-type": "application/json", "authorization": "Bearer sk-page"}
    with serve(config=config, env=RETRY) as server, cutting(server.url) as proxy:
        proxy.plan = list(CUTS)
        seen = follow(page, proxy, {"request": REQUEST, "headers": headers})
        expect_whole(seen, server, headers)
        expect_reconnects(seen, proxy)
        # Of the POST, for its key and its JSON: no request of the EventSource's has one.
        assert proxy.methods() == ["OPTIONS", "POST"] + ["GET"] * (len(CUTS) + 2)
        followed = [asked for asked in proxy.asked if asked.method == "GET"]
        assert all("ticket=" in asked.target and "authorization" not in asked.headers for asked in followed)
        assert "sk-page" not in server.stderr.read_text() and "ticket=" not in server.stderr.read_text()


def expect_whole(seen: dict, server, headers: dict | None = None) -> None:
    """The page has read what a plain stream of the same request says, once and in order."""
    assert seen["status"] == 202 and seen["queued"]["status"] == "queued"
    *events, done = seen["events"]
    assert done["data"] == "[DONE]"
    plain = httpx.post(f"{server.base_url}/chat/completions", json=REQUEST | {"stream": True}, headers=headers, timeout=10)
    expected = [json.loads(line.removeprefix("data: ")) for line in plain.text.split("\n\n")[:-2]]
    chunks = [json.loads(event["data"]) for event in events]
    assert resuming.without_ids(chunks) == resuming.without_ids(expected)
    assert [event["id"] for event in seen["events"]] == [f"1-{seq}" for seq in range(1, len(expected) + 2)]


def expect_reconnects(seen: dict, proxy: CuttingProxy) -> None:
    """Every request but the first says where it was, the last that it was at the end."""
    assert proxy.made == CUTS and seen["broken"] == len(CUTS) + 1
    first, *others = [asked.headers.get("last-event-id") for asked in proxy.asked if asked.method == "GET"]
    assert first is None
    assert others[:2] == ["1-0", "1-0"], "a second cut before any new event keeps its place"
    places = [int(place.removeprefix("1-")) for place in others]
    assert places == sorted(places) and places[-1] == len(seen["events"])
    *before, end = [asked.status for asked in proxy.asked if asked.method == "GET"]
    assert set(before) == {200} and end == 204
    assert all(asked.headers["origin"] for asked in proxy.asked)


def follow(page: str, proxy: CuttingProxy, call: dict) -> dict:
    """What the page saw until its EventSource closed, after which it has asked for nothing more."""
    chromium = shutil.which("chromium")
    assert chromium, "scripts/setup installs it"
    process = subprocess.Popen(
        ["node", "event_source.mjs", chromium, page, proxy.base_url, json.dumps(call)],
        cwd=PROBES,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    patience = threading.Timer(60, process.kill)
    patience.start()
    try:
        seen = process.stdout.readline()
        assert seen, "see its stderr"
        expect_no_more(proxy)
        process.stdin.close()
        assert process.wait() == 0
    finally:
        patience.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    return json.loads(seen)


def expect_no_more(proxy: CuttingProxy, within: float = 0.5) -> None:
    """Nothing comes for ten times as long as an EventSource waits before it reconnects."""
    before, deadline = len(proxy.asked), time.monotonic() + within
    while time.monotonic() < deadline:
        assert len(proxy.asked) == before, proxy.asked[before:]
        time.sleep(0.01)  # between two looks, not instead of one


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The URL of an empty page, of an origin that is not the server's."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(browser.EMPTY_PAGE)
    with browser.serving(folder) as url:
        yield url
