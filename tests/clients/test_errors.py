"""What goes wrong reaches the official SDKs as the exception a user can act on, and never as a silent end."""

import socket

import pytest

import upstream

STREAM = {"model": "any", "messages": [{"role": "user", "content": "hi"}], "stream": True}
WHOLE = STREAM | {"stream": False}
EITHER = pytest.mark.parametrize("request_body", [STREAM, WHOLE], ids=["stream", "whole"])


@EITHER
def test_an_empty_list_of_messages_is_a_bad_request(sdk, server, request_body):
    bad, good = sdk.ask(server.base_url, {"request": request_body | {"messages": []}}, {"request": request_body})
    assert bad.error["classes"][0] == "BadRequestError"
    assert bad.error["status"] == 400
    assert bad.error["param"] == "messages"
    assert "messages" in bad.error["message"]
    assert good.error is None, "the server has to go on"


@EITHER
def test_a_wrong_key_is_an_authentication_error(sdk, keyed_server, request_body):
    (refused,) = sdk.ask(keyed_server.base_url, {"request": request_body}, api_key="sk-wrong")
    assert refused.error["classes"][0] == "AuthenticationError"
    assert refused.error["status"] == 401
    assert "sk-wrong" not in keyed_server.stderr.read_text()


@EITHER
def test_the_right_key_is_let_in(sdk, keyed_server, request_body):
    (answer,) = sdk.ask(keyed_server.base_url, {"request": request_body}, api_key="sk-right")
    assert answer.error is None and answer.text()


@EITHER
def test_an_unreachable_upstream_is_a_server_error_before_the_stream(sdk, serve, request_body):
    # A port that was just given back refuses connections.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serve("--upstream", f"http://127.0.0.1:{port}/v1") as proxy:
        (answer,) = sdk.ask(proxy.base_url, {"request": request_body})
    assert answer.error["classes"][0] == "InternalServerError"
    assert (answer.error["status"], answer.error["code"]) == (502, "upstream_unreachable")


@EITHER
def test_an_upstreams_own_refusal_passes_through(sdk, serve, request_body):
    error = {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    reply = upstream.json_reply("429 Too Many Requests", {"error": error}, "retry-after: 7")
    with upstream.scripted(lambda connection: connection.sendall(reply)) as url, serve("--upstream", url) as proxy:
        (answer,) = sdk.ask(proxy.base_url, {"request": request_body})
    assert answer.error["classes"][0] == "RateLimitError"
    assert (answer.error["status"], answer.error["code"]) == (429, "rate_limit_exceeded")
    assert "slow down" in answer.error["message"]


@EITHER
def test_a_limit_is_a_rate_limit_error(sdk, serve, request_body):
    config = '[auth]\nkeys = [{ name = "ci", key = "sk-limited", rpm = 1 }]\n'
    with serve("--instant", config=config) as server:
        first, second = sdk.ask(
            server.base_url, {"request": request_body}, {"request": request_body}, api_key="sk-limited"
        )
    assert first.error is None and first.text()
    assert second.error["classes"][0] == "RateLimitError"
    assert (second.error["status"], second.error["code"]) == (429, "rate_limit_exceeded")
    assert "requests per minute" in second.error["message"]


def test_a_retry_waits_as_long_as_it_is_told(sdk, serve):
    # One comes back every five seconds: an SDK's own first wait, of a second at most, is too short.
    config = '[auth]\nkeys = [{ name = "ci", key = "sk-limited", rpm = 12 }]\n'
    calls = [{"request": WHOLE}] * 12
    with serve("--instant", config=config) as server:
        *answers, refused, retried = sdk.ask(
            server.base_url, *calls, {"request": WHOLE}, {"request": WHOLE, "retries": 1}, api_key="sk-limited"
        )
    assert [answer.error for answer in answers] == [None] * 12
    assert refused.error["classes"][0] == "RateLimitError"
    assert retried.error is None and retried.text()


def ends_the_connection(connection: socket.socket) -> None:
    """A body that lasts as long as the connection: to HTTP alone its end looks regular."""
    connection.sendall(upstream.EVENT_STREAM + b"connection: close\r\n\r\n" + GOOD_START)


def breaks_the_transfer(connection: socket.socket) -> None:
    """A chunked body which HTTP itself knows to be cut."""
    head = upstream.EVENT_STREAM + b"transfer-encoding: chunked\r\n\r\n"
    connection.sendall(head + upstream.transfer_chunk(GOOD_START))


def ends_the_body(connection: socket.socket) -> None:
    """A chunked body that HTTP sees end in order."""
    breaks_the_transfer(connection)
    connection.sendall(b"0\r\n\r\n")


GOOD_START = b"".join(
    [
        upstream.event({"role": "assistant", "content": ""}),
        upstream.event({"content": "so far"}),
        upstream.event({"content": " so good"}),
    ]
)


@pytest.mark.parametrize("cut", [ends_the_connection, breaks_the_transfer, ends_the_body], ids=lambda cut: cut.__name__)
def test_a_stream_cut_in_the_middle_raises_after_what_was_said(sdk, serve, cut):
    with upstream.scripted(cut) as url, serve("--upstream", url) as proxy:
        (answer,) = sdk.ask(proxy.base_url, {"request": STREAM})
    assert answer.text() == "so far so good"
    assert answer.error is not None, "the stream ended as if nothing had happened"
    assert answer.error["classes"][0] == "APIError"
    assert answer.error["code"] == "upstream_truncated"
    assert answer.error["message"]


@pytest.fixture(scope="module")
def keyed_server(serve):
    with serve("--instant", config='[auth]\nkeys = [{ name = "ci", key = "sk-right" }]\n') as server:
        yield server
