"""A proxy that cuts event streams where and how a test says, and remembers what it was asked for.

It relays one request per connection. Of an event stream it relays the first `at` bytes of the body and then ends
it: by `fin`, a connection closed in the middle of the transfer; by `reset`; or by `end`, at which the body looks
whole to HTTP.
"""

import contextlib
import http.client
import itertools
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from upstream import transfer_chunk

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Cut:
    """Where the body of one event stream ends, how, and what is done `then`."""

    at: int
    how: str
    then: Callable[[], None] = field(default=lambda: None, compare=False)


@dataclass
class Asked:
    """One request, and what it was answered with."""

    method: str
    target: str
    headers: dict[str, str]
    server: str
    status: int | None = None


@dataclass
class CuttingProxy:
    """`plan` is used up by the event streams in their order; what it has no cut for is relayed whole."""

    base_url: str
    plan: list[Cut | None] = field(default_factory=list)
    made: list[Cut] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]


@contextlib.contextmanager
def cutting(*urls: str):
    """Yields a `CuttingProxy` in front of the servers at `urls`, which take turns."""
    proxy, in_turn = CuttingProxy(""), itertools.cycle(urls)

    class Handler(_Handler):
        cuts, servers = proxy, in_turn

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        # Connections that a client holds open are not waited for.
        listener.block_on_close = False
        proxy.base_url = f"http://127.0.0.1:{listener.server_port}/v1"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        # A client which has gone away is what some tests are about.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def relay(self):
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, next(self.servers))
        self.cuts.asked.append(asked)
        with contextlib.closing(http.client.HTTPConnection(urlsplit(asked.server).netloc, timeout=30)) as upstream:
            upstream.request(self.command, self.path, body or None, headers | {"connection": "close"})
            reply = upstream.getresponse()
            asked.status = reply.status
            if reply.getheader("content-type", "").startswith("text/event-stream"):
                self.send_events(reply, self.cuts.plan.pop(0) if self.cuts.plan else None)
            else:
                self.send_head(reply, "connection: close")
                self.connection.sendall(reply.read())

    do_GET = do_POST = do_DELETE = do_OPTIONS = relay

    def send_head(self, reply: http.client.HTTPResponse, *more: str):
        headers = [f"{name}: {value}" for name, value in reply.getheaders() if name.lower() not in HOP_BY_HOP]
        lines = [f"HTTP/1.1 {reply.status} {reply.reason}", *headers, *more, "", ""]
        self.connection.sendall("\r\n".join(lines).encode())

    def send_events(self, reply: http.client.HTTPResponse, cut: Cut | None):
        # With `connection: close` the cut would not be one to Node: it takes the connection's end for the body's.
        is_broken = cut is not None and cut.how != "end"
        self.send_head(reply, "transfer-encoding: chunked", *([] if is_broken else ["connection: close"]))
        left = cut.at if cut else None
        while left != 0 and (piece := reply.read1()):
            self.connection.sendall(transfer_chunk(piece[:left]))
            left = None if left is None else max(0, left - len(piece))
        if left == 0:
            self.cuts.made.append(cut)
            cut.then()
            if cut.how == "fin":
                return
            if cut.how == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                # Closed here and now: the base class would say goodbye in order first.
                os.close(self.connection.detach())
                return
        self.connection.sendall(transfer_chunk(b""))

    def log_message(self, *_):
        """Tests look at `asked`."""
