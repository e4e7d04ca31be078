"""Starts Tokenfall as the model of a test, and stops it. It needs nothing but the standard library.

    with tokenfall.mock.start() as mock:
        session = mock.session()
        client = OpenAI(base_url=session.base_url, api_key=session.api_key, default_headers=session.headers)

The server ends with the process that started it, however that ends. `tokenfall.pytest_plugin` has fixtures of it.
"""

import importlib.metadata
import itertools
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

_GREETING = re.compile(rb"Base URL +(http://\S+)/v1\n")
_STOPS_WITHIN = 5.0
# Proxies of the environment are not for 127.0.0.1.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StartError(RuntimeError):
    """The server did not start; the text says why, with what it said itself."""


def start(*args: str, prompts=None, binary=None, env=None, api_key="unused", patience=10.0) -> "Mock":
    """Starts a server on a free port and waits until it listens, `patience` seconds at most.

    `args` are flags of `tokenfall serve`, `--instant` if there are none. `prompts` is a folder of scenarios. `env` is
    on top of this process's environment. `api_key` is what clients are given.
    """
    command = [str(binary or find_binary()), "serve", "--port", "0", "--stop-at-eof", *(args or ["--instant"])]
    if prompts is not None:
        command += ["--prompts", str(prompts)]
    log = tempfile.TemporaryFile()
    try:
        process = subprocess.Popen(
            command,
            env={"TOKENFALL__SERVER__DRAIN": "1s", **os.environ, **(env or {})},
            # It stops when this end is closed, which the system does for a process that is killed.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    except OSError as error:
        raise StartError(f"{command[0]} could not be run: {error}") from error
    mock = Mock(process, log, api_key)
    try:
        mock.url = mock._wait_for_url(patience)
    except BaseException:
        mock.stop()
        raise
    return mock


def find_binary() -> Path:
    """The binary: `TOKENFALL_BIN`, else that of this package, else that of the `PATH`, else what was built here."""
    if named := os.environ.get("TOKENFALL_BIN"):
        if not shutil.which(named):
            raise StartError(f"TOKENFALL_BIN={named} is not a file that can be run")
        return Path(named)
    if installed := _installed():
        return installed
    if found := shutil.which("tokenfall"):
        return Path(found)
    for build in ("release", "debug"):
        if (built := Path.cwd() / "target" / build / "tokenfall").is_file():
            return built
    raise StartError("tokenfall was not found: set TOKENFALL_BIN, put it on the PATH, or run `cargo build --release`")


def _installed() -> Path | None:
    # Not by the PATH: a virtual environment's Python can be run without it.
    try:
        files = importlib.metadata.files("tokenfall") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "tokenfall" and (path := Path(file.locate())).is_file():
            return path.resolve()
    return None


class Mock:
    """A running server."""

    def __init__(self, process: subprocess.Popen, log, api_key: str):
        self.process, self.api_key, self.url = process, api_key, ""
        self._log = log

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"{self.url}/v1"

    @property
    def env(self) -> dict[str, str]:
        """The same for a program that reads it from its environment."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.api_key}

    def session(self, name: str | None = None) -> "Session":
        """A test's own scenarios, counts and journal. Without a name it gets one that nobody has."""
        return Session(self, f"test-{uuid.uuid4().hex}" if name is None else name)

    def log(self) -> str:
        """What the server has written to standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def stop(self) -> None:
        """Stops it, within some seconds also where streams are under way."""
        self.process.terminate()
        self.process.stdin.close()
        try:
            self.process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> "Mock":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _wait_for_url(self, patience: float) -> str:
        deadline, said, out = time.monotonic() + patience, b"", self.process.stdout.fileno()
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([out], [], [], left)[0]:
                break
            read = os.read(out, 65536)
            said += read
            if found := _GREETING.search(said):
                return found.group(1).decode()
            if not read:
                code = self.process.wait()
                raise StartError(f"tokenfall ended with exit code {code}:\n{self.log()}")
        raise StartError(f"tokenfall did not say that it listens within {patience} s:\n{said.decode()}{self.log()}")


class Session:
    """What one test asks of the mock and tells it; other sessions do not see it."""

    def __init__(self, mock: Mock, name: str):
        self.mock, self.name = mock, name
        self.base_url, self.api_key, self.env = mock.base_url, mock.api_key, mock.env

    @property
    def headers(self) -> dict[str, str]:
        """What each of its requests has to carry."""
        return {"x-mock-session": self.name}

    def scenarios(self, scenarios: dict[str, dict] | None) -> None:
        """Answers with these, by name, in place of the folder's; with `None` the folder's are back."""
        self._ask("PUT", "scenarios", {"scenarios": scenarios})

    def requests(self) -> list[dict]:
        """What was asked and what was sent, the oldest first."""
        return self._ask("GET", "requests")["data"]

    def verify(self, match: dict | None = None, *, scenario=None, count=None, at_least=None, at_most=None) -> int:
        """How many requests fulfil `match` and were answered by `scenario`. One at least, where no number is given.

        Raises `AssertionError`, with the journal, where there are more or fewer.
        """
        if count is at_least is at_most is None:
            at_least = 1
        said = {"scenario": scenario, "count": count, "at_least": at_least, "at_most": at_most}
        wanted = {name: value for name, value in said.items() if value is not None}
        try:
            return self._ask("POST", "verify", {"match": match or {}, **wanted})["count"]
        except Refused as refused:
            if refused.status != 406:
                raise
            raise AssertionError(f"{refused}\n{self.journal()}") from None

    def reset(self) -> None:
        """Forgets its scenarios, counts and journal."""
        self._ask("POST", "reset")

    def journal(self) -> str:
        """The requests as text: a few lines for each."""
        return "\n".join(map(_told, itertools.count(1), self.requests())) or "no request came"

    def _ask(self, method: str, what: str, body: dict | None = None) -> dict:
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        if self.name:
            headers |= self.headers
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.mock.url}/_mock/{what}", data, headers, method=method)
        try:
            with _OPENER.open(request, timeout=30) as reply:
                return json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read()) from None


class Refused(RuntimeError):
    """The mock did not do as it was told; the text says why."""

    def __init__(self, status: int, body: bytes):
        try:
            message = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = body.decode(errors="replace")
        super().__init__(f"{message} ({status})")
        self.status = status


def _told(number: int, request: dict) -> str:
    sent, body = request["sent"], request["request"]["body"] or {}
    said = [f"{number}. {body.get('model')} -> {request['status']}", f"scenario {request['scenario']}"]
    if request["status"] == 200:
        said += [f"{sent['events']} events", sent["end"] or "under way"]
    lines = [", ".join(said + sent["faults"])]
    for message in body.get("messages") or []:
        lines.append(f"   {message.get('role')}: {json.dumps(message.get('content'), ensure_ascii=False)[:200]}")
    return "\n".join(lines)
