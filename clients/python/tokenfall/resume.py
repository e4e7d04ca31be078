"""An httpx transport that picks a broken chat completion up where it was cut, unseen by the SDK above it.

    OpenAI(http_client=httpx.Client(transport=ResumingTransport(httpx.HTTPTransport())))

It counts the events it hands on; when the body breaks before `[DONE]`, it asks for those after them. A server
that cannot resume sends no `x-completion-id`, or refuses: then all is as without it, the error included.
"""

import re
import time
from importlib import import_module, util
from random import uniform

# The SDK is built on httpx2 since 3.0, on httpx before. Both may be installed, and either may be the client's.
LIBRARIES = [import_module(name) for name in ("httpx2", "httpx") if util.find_spec(name)]
BROKEN = tuple(library.TransportError for library in LIBRARIES)
DELAYS = (0, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5)  # seconds before each attempt; a new event starts them anew
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
DATA = re.compile(rb"^data(:|\r?$)", re.MULTILINE)  # a block without data is no event
DONE = re.compile(rb"^data: ?\[DONE\]", re.MULTILINE)


class ResumingTransport(*(library.BaseTransport for library in LIBRARIES)):
    """Wraps the transport that does the work."""

    def __init__(self, transport, delays=DELAYS):
        self.wrapped, self.delays, self.close = transport, delays, transport.close

    def handle_request(self, request):
        response = self.wrapped.handle_request(request)
        if request.method == "POST" and request.url.path.endswith("/chat/completions") and is_resumable(response):
            response.stream = ResumedBody(self, request, response)
        return response


class ResumedBody(*(library.SyncByteStream for library in LIBRARIES)):
    """One body, of as many responses as it takes. It hands on whole events, so that none is repeated in part."""

    def __init__(self, transport, request, response):
        self._transport, self._request, self._head, self._stream = transport, request, response.headers, response.stream
        self._events, self._attempts, self._rest, self._is_done = 0, 0, b"", False

    def __iter__(self):
        while True:
            error = None
            try:
                yield from map(self._complete, self._stream)
            except BROKEN as broken:
                error = broken
            if self._is_done or not self._resume():
                break
        yield self._rest
        if error and not self._is_done:
            raise error

    def close(self):
        self._stream.close()

    def _complete(self, piece):
        """The events that are whole with `piece`."""
        self._rest += piece
        end = max((blank.end() for blank in BLANK_LINE.finditer(self._rest)), default=0)
        whole, self._rest = self._rest[:end], self._rest[end:]
        if events := sum(1 for block in BLANK_LINE.split(whole) if DATA.search(block)):
            self._events, self._attempts = self._events + events, 0
        self._is_done = self._is_done or bool(DONE.search(whole))
        return whole

    def _resume(self):
        self._stream.close()
        while self._attempts < len(self._transport.delays):
            time.sleep(uniform(0.5, 1) * self._transport.delays[self._attempts])
            self._attempts += 1
            try:
                response = self._transport.wrapped.handle_request(self._follow_up())
            except BROKEN:
                continue
            if is_resumable(response):
                self._stream, self._rest = response.stream, b""
                return True
            response.close()
            if response.status_code not in (408, 429, 500, 502, 503, 504):
                break
        return False

    def _follow_up(self):
        headers = {name: value for name, value in self._request.headers.items() if not name.startswith("content-")}
        headers |= {"accept": "*/*", "accept-encoding": "identity"}
        url = self._request.url.copy_merge_params({"stream": "true", "starting_after": self._events})
        if "authorization" not in headers and "x-stream-ticket" in self._head:
            url = url.copy_add_param("ticket", self._head["x-stream-ticket"])
        url = url.copy_with(path=f"{url.path}/{self._head['x-completion-id']}")
        return type(self._request)("GET", url, headers=headers, extensions=self._request.extensions)


def is_resumable(response):
    """A named stream whose events can be counted, which in a compressed one they cannot."""
    is_stream = response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream")
    return is_stream and "x-completion-id" in response.headers and "content-encoding" not in response.headers
