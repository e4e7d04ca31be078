"""The real proxies of the documents, with the documents' own words, and a stream through each."""

import contextlib
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from nginx import wait_until_open

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""
BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}


@contextlib.contextmanager
def certificate(folder: Path) -> Iterator[str]:
    """Yields the path of one for this machine; its key is beside it, as `.key`."""
    path = folder / ".certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-out", path, "-keyout", f"{path}.key"], check=True, capture_output=True)
    yield str(path)


@contextlib.contextmanager
def nginx(block: str, folder: Path) -> Iterator[str]:
    """Yields the URL of an nginx with this block in its `http`."""
    own = folder / ".nginx"
    own.mkdir(exist_ok=True)
    (own / "nginx.conf").write_text(NGINX.format(folder=own, block=block))
    command = ["nginx", "-p", own, "-e", "stderr", "-c", own / "nginx.conf"]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0 and "[warn]" not in tested.stderr, tested.stderr
    (port,) = set(re.findall(r"listen (?:[\d.]+:)?(\d+)", block))
    with running(command, int(port)):
        yield f"{'https' if 'ssl_certificate' in block else 'http'}://localhost:{port}"


@contextlib.contextmanager
def caddy(block: str, folder: Path) -> Iterator[str]:
    """Yields the URL of a Caddy with this Caddyfile, and no port of its own for administration."""
    own = folder / ".caddy"
    own.mkdir(exist_ok=True)
    (own / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + block)
    (scheme, port) = re.findall(r"^(?:(https?)://)?localhost:(\d+) \{", block, re.MULTILINE)[0]
    with running(["caddy", "run", "--config", own / "Caddyfile"], int(port)):
        yield f"{scheme or 'https'}://localhost:{port}"


@contextlib.contextmanager
def running(command: list, port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until_open(port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def expect_stream(url: str, trusted: str | None) -> None:
    """A stream comes through as it is made, heartbeats too, and whole, over HTTP/1.1 at least."""
    context = ssl.create_default_context(cafile=trusted) if trusted else True
    # A first token after three seconds; one about every 50 ms then.
    headers = {"x-mock-speed": "0.3", "x-forwarded-for": "192.0.2.1"}
    started, times, read = time.monotonic(), [], b""
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=BODY, headers=headers, verify=context, timeout=20) as reply:
        for piece in reply.iter_raw():
            times.append(time.monotonic() - started)
            read += piece
    assert reply.status_code == 200, read
    assert len(times) > 10 and times[0] < times[-1] / 2, f"it was held back: {times}"
    assert read.endswith(b"data: [DONE]\n\n"), read
    completion = reply.headers["x-completion-id"]
    state = httpx.get(f"{url}/v1/chat/completions/{completion}", verify=context).json()
    assert state["status"] == "completed", json.dumps(state)
