"""What is handed to users who test with the mock: for Python, for pytest and for Node."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

import tokenfall.mock
from binary import BINARY, REPOSITORY, STOPS_WITHIN, clean_environment

HELPERS = REPOSITORY / "clients"
GREETING = {"model": "m", "messages": [{"role": "user", "content": "Good day"}]}
SCENARIO = {"match": {"last_user": "Good day"}, "reply": {"text": "Hello!"}}


@pytest.fixture(scope="module")
def mock():
    with tokenfall.mock.start(binary=BINARY) as mock:
        yield mock


def ask(session: tokenfall.mock.Session, body: dict = GREETING, **headers: str) -> str:
    headers = {"content-type": "application/json"} | session.headers | headers
    with urlopen(Request(f"{session.base_url}/chat/completions", json.dumps(body).encode(), headers)) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def test_a_session_has_scenarios_and_requests_of_its_own(mock):
    one, other = mock.session(), mock.session()
    one.scenarios({"hello": SCENARIO})
    assert ask(one) == "Hello!" != ask(other)
    assert [request["scenario"] for request in one.requests()] == ["hello"]
    assert [request["scenario"] for request in other.requests()] == [None]
    one.reset()
    assert one.requests() == [] and ask(one) != "Hello!"


def test_verify_counts_and_says_what_came_instead(mock):
    session = mock.session()
    with pytest.raises(AssertionError, match="at least 1.*found 0(?s:.*)no request came"):
        session.verify()
    ask(session)
    assert session.verify({"last_user": "Good day"}, count=1) == 1
    with pytest.raises(AssertionError, match=r'at least 1.*found 0 of 1(?s:.*)1\. m -> 200(?s:.*)user: "Good day"'):
        session.verify({"last_user": "Bye"})
    with pytest.raises(tokenfall.mock.Refused, match="last_usr"):
        session.verify({"last_usr": "Good day"})


def test_the_journal_tells_statuses_and_faults(mock):
    session = mock.session()
    with pytest.raises(HTTPError):
        ask(session, **{"x-mock-fault": "status=429"})
    ask(session, **{"x-mock-fault": "drip,for=10ms"})
    assert "1. m -> 429" in session.journal() and "2. m -> 200" in session.journal()


def test_a_stop_does_not_wait_for_streams_that_stand_still():
    with tokenfall.mock.start(binary=BINARY) as mock:
        headers = {"content-type": "application/json", "x-mock-fault": "stall@event=1"}
        body = json.dumps(GREETING | {"stream": True}).encode()
        stream = urlopen(Request(f"{mock.base_url}/chat/completions", body, headers))
        begun = time.monotonic()
    assert time.monotonic() - begun < 20.0 and mock.process.poll() is not None
    stream.close()


def test_what_cannot_start_says_why(tmp_path, monkeypatch):
    with pytest.raises(tokenfall.mock.StartError, match="exit code 2(?s:.*)/no/such/folder"):
        tokenfall.mock.start(prompts="/no/such/folder", binary=BINARY)
    with pytest.raises(tokenfall.mock.StartError, match="/no/such/binary could not be run"):
        tokenfall.mock.start(binary="/no/such/binary")
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho waiting >&2\nexec sleep 60\n")
    silent.chmod(0o755)
    with pytest.raises(tokenfall.mock.StartError, match="within 0.2 s(?s:.*)waiting"):
        tokenfall.mock.start(binary=silent, patience=0.2)
    monkeypatch.setenv("TOKENFALL_BIN", "/no/such/binary")
    with pytest.raises(tokenfall.mock.StartError, match="TOKENFALL_BIN=/no/such/binary"):
        tokenfall.mock.start()


def test_the_binary_is_looked_for_in_the_environment_on_the_path_and_where_it_is_built(tmp_path, monkeypatch):
    for folder in ("path", "here/target/release", "here/target/debug"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "tokenfall").symlink_to("/bin/true")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TOKENFALL_BIN", "/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert tokenfall.mock.find_binary() == Path("/bin/sh")
    monkeypatch.delenv("TOKENFALL_BIN")
    assert tokenfall.mock.find_binary() == tmp_path / "path/tokenfall"
    monkeypatch.setenv("PATH", "")
    assert tokenfall.mock.find_binary() == tmp_path / "here/target/release/tokenfall"


STARTERS = {
    "python": [
        sys.executable, "-c",
        "import time, tokenfall.mock; mock = tokenfall.mock.start(); print(mock.url, flush=True); time.sleep(60)",
    ],
    "node": [
        "node", "--input-type=module", "-e",
        f"import {{ startMock }} from '{HELPERS}/node/index.mjs';"
        "console.log((await startMock()).url); setTimeout(() => {}, 60_000)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("language", STARTERS)
def test_the_server_ends_with_a_process_that_is_killed(language):
    starter = subprocess.Popen(STARTERS[language], env=environment(), stdout=subprocess.PIPE, text=True)
    with starter:
        address = urlsplit(starter.stdout.readline().strip())
        assert is_listening(address.hostname, address.port)
        starter.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + STOPS_WITHIN
    while is_listening(address.hostname, address.port):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.01)  # between two looks, not instead of one


def is_listening(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def environment() -> dict[str, str]:
    return clean_environment() | {"TOKENFALL_BIN": str(BINARY), "PYTHONPATH": str(HELPERS / "python")}


def run_pytest(folder: Path, test: str, conftest: str = "") -> subprocess.CompletedProcess:
    """Runs a test of a project of its own, with the SDK beside pytest."""
    (folder / "test_it.py").write_text(test)
    (folder / "conftest.py").write_text(conftest or 'pytest_plugins = ["tokenfall.pytest_plugin"]\n')
    (folder / "pytest.ini").write_text("[pytest]\n")
    (sdk,) = (REPOSITORY / ".venvs/openai3/lib").glob("python3*/site-packages")
    path = os.pathsep.join([str(HELPERS / "python"), str(sdk)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(
        command, cwd=folder, env=environment() | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )


def test_a_test_that_fails_shows_its_requests(tmp_path):
    run = run_pytest(
        tmp_path,
        "import urllib.request\n"
        "def test_it(tokenfall_session):\n"
        "    headers = {'content-type': 'application/json'} | tokenfall_session.headers\n"
        f"    body = {json.dumps(GREETING).encode()!r}\n"
        "    url = tokenfall_session.base_url + '/chat/completions'\n"
        "    urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()\n"
        "    assert False\n",
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r'requests to tokenfall(?s:.*)1\. m -> 200(?s:.*)user: "Good day"', run.stdout), run.stdout


def test_a_server_that_does_not_start_is_an_error_of_the_test(tmp_path):
    run = run_pytest(
        tmp_path,
        "def test_it(tokenfall_session): pass\n",
        'import pytest\npytest_plugins = ["tokenfall.pytest_plugin"]\n'
        "@pytest.fixture(scope='session')\n"
        "def tokenfall_options(): return {'args': ['--instant'], 'prompts': '/no/such/folder'}\n",
    )
    assert run.returncode == 1 and "/no/such/folder" in run.stdout and "StartError" in run.stdout, run.stdout


def test_the_helper_for_node():
    run = node_test(REPOSITORY / "tests/clients/probes/mock_helper.test.mjs")
    assert run.returncode == 0, run.stdout + run.stderr


def node_test(file: Path) -> subprocess.CompletedProcess:
    command = ["node", "--test", "--test-reporter=tap", str(file)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
