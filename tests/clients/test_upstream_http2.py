"""To an upstream that speaks HTTP/2 over TLS, here a real nginx before a mock, all streams go over one connection."""

import asyncio
import re
import subprocess
import time

import httpx
import pytest

import nginx

BODY = {
    "model": "m",
    "stream": True,
    # The proxy asks for it anyway.
    "stream_options": {"include_usage": True},
    "seed": 1,
    "messages": [{"role": "user", "content": "Hello"}],
}
IDS = re.compile(rb'"id":"[^"]*"')


@pytest.fixture(scope="module")
def mock(serve):
    with serve("--profile", "hosted", "--speed", "0.5", env={"TOKENFALL__STREAM__ON_DISCONNECT": "cancel"}) as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    # As an authority it could not be a server.
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", path, "-keyout", f"{path}.key"]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def front(mock, certificate, tmp_path):
    directory = tmp_path / "nginx"
    directory.mkdir()
    more = "proxy_buffering off; proxy_http_version 1.1;"
    with nginx.in_front_of(mock.url, directory, more, certificate) as url:
        yield url, directory / "access.log"


@pytest.fixture
def proxy(serve, front, certificate):
    env = {"SSL_CERT_FILE": str(certificate), "TOKENFALL__SERVER__WORKERS": "1"}
    with serve("--upstream", f"{front[0]}/v1", env=env) as server:
        yield server


def test_streams_share_a_connection(proxy, mock, front):
    async def ask_all():
        async with httpx.AsyncClient(timeout=60) as client:
            first = await client.post(f"{proxy.base_url}/chat/completions", json=BODY)
            asked = [client.post(f"{proxy.base_url}/chat/completions", json=BODY) for _ in range(20)]
            return [first, *await asyncio.gather(*asked)]

    direct = IDS.sub(b"", httpx.post(f"{mock.base_url}/chat/completions", json=BODY, timeout=60).content)
    for reply in asyncio.run(ask_all()):
        assert reply.status_code == 200
        assert IDS.sub(b"", reply.content) == direct
    lines = wait_for_lines(front[1], 21)
    assert {line.split()[0] for line in lines} == {"HTTP/2.0"}
    assert len({line.split()[1] for line in lines}) == 1, lines


def test_a_client_that_leaves_ends_its_own_stream_and_no_other(proxy, mock):
    headers = {"x-stream-on-disconnect": "cancel"}
    before = ended(mock, "completed")
    with httpx.stream("POST", f"{proxy.base_url}/chat/completions", json=BODY, timeout=60) as stays:
        reads = stays.iter_raw()
        assert next(reads)
        with httpx.stream("POST", f"{proxy.base_url}/chat/completions", json=BODY, headers=headers, timeout=60) as leaves:
            assert next(leaves.iter_raw())
        # Before the other one has come to its end, four seconds later.
        deadline = time.monotonic() + 30
        while not ended(mock, "cancelled"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert ended(mock, "completed") == before
        assert b"".join(reads).endswith(b"data: [DONE]\n\n")


def ended(mock, how: str) -> int:
    """How many completions have ended so."""
    counts = re.findall(rf'completions_total{{.*end="{how}"}} (\d+)', httpx.get(f"{mock.url}/metrics").text)
    return sum(int(count) for count in counts)


def wait_for_lines(log, count: int) -> list[str]:
    deadline = time.monotonic() + 30
    while len(lines := log.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
    return lines
