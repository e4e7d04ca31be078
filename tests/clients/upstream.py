"""An upstream that says and does exactly what a test tells it to, byte by byte, on raw sockets."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable

EVENT_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


@contextlib.contextmanager
def scripted(play: Callable[[socket.socket], None]):
    """Yields the base URL of a server which reads each request whole and then lets `play` answer it."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, play), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        # Wakes the thread in accept(), which close() alone does not.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def json_reply(status: str, body: dict, *headers: str) -> bytes:
    """A whole HTTP response."""
    payload = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(payload)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


def event(delta: dict, finish_reason: str | None = None) -> bytes:
    """One chunk of a one-choice stream, framed."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def transfer_chunk(payload: bytes) -> bytes:
    """`payload` as one chunk of HTTP's chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def _accept(listener: socket.socket, play: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed: the test is over
            return
        threading.Thread(target=_answer, args=(connection, play), daemon=True).start()


def _answer(connection: socket.socket, play: Callable[[socket.socket], None]) -> None:
    # A client which has gone away is the server's business under test, not this thread's.
    with connection, contextlib.suppress(OSError):
        if _read_request(connection):
            play(connection)


def _read_request(connection: socket.socket) -> bool:
    """Reads one request; false if the connection was opened for nothing."""
    request = connection.makefile("rb")
    length = 0
    if not request.readline():
        return False
    while (line := request.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    request.read(length)
    return True
