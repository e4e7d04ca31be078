"""Behind a balancer that sends each request elsewhere, a stream outlives its connections; a lost node is told."""

import itertools
import time

import pytest

import redis_server
import resuming
from cutting import Cut, cutting

# At a model's pace, so that tokens still fall when a client comes back.
REQUEST = {"model": "any", "messages": [{"role": "user", "content": "How does a token fall? 🌊"}], "seed": 7, "max_tokens": 24}
HOWS = ("fin", "reset", "end")


def test_a_loop_over_three_cuts_and_changes_of_node_notices_none(sdk, nodes):
    a, b = nodes
    # Before the first event, in one, between two.
    cuts = [[Cut(at, how) for at in places] for how, places in zip(HOWS, [(0, 1500, 700), (301, 2, 650), (900, 300, 1200)])]
    call = {"do": "stream", "request": REQUEST}
    with cutting(a.url, b.url) as proxy:
        proxy.plan = [None] + [entry for three in cuts for entry in (*three, None)]
        reference, *resumed = resuming.ask(sdk, proxy.base_url, call, *[call | {"resuming": True}] * len(cuts))
    assert proxy.made == list(itertools.chain(*cuts))
    assert proxy.methods() == ["POST"] + ["POST", "GET", "GET", "GET"] * len(cuts)
    assert [asked.server for asked in proxy.asked] == list(itertools.islice(itertools.cycle([a.url, b.url]), 13))
    for answer in resumed:
        assert reference["error"] is None and answer["error"] is None
        assert resuming.without_ids(answer["chunks"]) == resuming.without_ids(reference["chunks"])


def test_the_sdk_alone_reads_on_at_another_node(sdk, nodes):
    a, b = nodes
    with cutting(a.url, b.url) as proxy:
        call = {"do": "come_back", "request": REQUEST, "take": 5}
        come_back, whole = resuming.ask(sdk, proxy.base_url, call, {"do": "stream", "request": REQUEST})
    assert come_back["error"] is None and whole["error"] is None
    assert [asked.server for asked in proxy.asked] == [a.url, b.url, a.url]
    assert len(come_back["chunks"]) == 5
    assert resuming.without_ids(come_back["chunks"] + come_back["rest"]) == resuming.without_ids(whole["chunks"])


def test_a_node_that_is_killed_is_an_error_and_never_a_new_beginning(sdk, node, redis):
    with node(redis) as a, node(redis) as b, cutting(a.url, b.url) as proxy:

        def die():
            # A batch may wait for 20 ms: who has read what is lost with the node gets 410, and not this.
            time.sleep(0.1)
            a.kill()

        proxy.plan = [Cut(1500, "reset", then=die), None, None]
        call = {"do": "stream", "request": REQUEST}
        (lost,) = resuming.ask(sdk, proxy.base_url, call | {"resuming": True})
        assert proxy.methods() == ["POST", "GET"]
        assert [asked.server for asked in proxy.asked] == [a.url, b.url]
        (whole,) = resuming.ask(sdk, b.base_url, call)
    assert lost["error"][0]["code"] == "upstream_lost", lost["error"]
    assert whole["error"] is None
    read, reference = resuming.without_ids(lost["chunks"]), resuming.without_ids(whole["chunks"])
    assert 1 < len(read) < len(reference) and read == reference[: len(read)]


@pytest.fixture(scope="module")
def redis():
    with redis_server.running() as url:
        yield url


@pytest.fixture(scope="module")
def node(serve):
    """`with node(redis) as server:` is one of several on that Redis, at a model's pace."""

    def started(url: str):
        config = f"""
            auth.ticket_secret = "the same on every node"
            store = {{ kind = "redis", url = "{url}", lease = "1s", poll = "100ms" }}
        """
        return serve(config=config)

    return started


@pytest.fixture(scope="module")
def nodes(node, redis):
    with node(redis) as a, node(redis) as b:
        yield a, b
