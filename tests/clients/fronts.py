"""The real proxies of the documents, with the documents' own words, and a stream through each."""

import contextlib
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from ports import free_port, wait_until_open
from binary import clean_environment

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
BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "How does a token fall?"}]}


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
    with running(command, int(port), own):
        yield f"{'https' if 'ssl_certificate' in block else 'http'}://localhost:{port}"


@contextlib.contextmanager
def caddy(block: str, folder: Path, certificate: str) -> Iterator[str]:
    """Yields the URL of a Caddy with this Caddyfile, whose one site has this certificate instead of one from an authority."""
    own = folder / ".caddy"
    own.mkdir(exist_ok=True)
    port = free_port()
    site = f"localhost:{port} {{\n\ttls {certificate} {certificate}.key"
    (block, sites) = re.subn(r"^[\w.-]+\.\w+ \{", site, block, flags=re.MULTILINE)
    assert sites == 1, block
    (own / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + block)
    with running(["caddy", "run", "--config", own / "Caddyfile"], port, own):
        yield f"https://localhost:{port}"


@contextlib.contextmanager
def running(command: list, port: int, home: Path) -> Iterator[None]:
    process = subprocess.Popen(command, env=clean_environment() | {"HOME": str(home)}, stdin=subprocess.DEVNULL)
    try:
        wait_until_open(port, process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def expect_stream(url: str, trusted: str | None) -> None:
    """A stream comes through as it is made and whole, and who leaves is noticed behind the proxy; over TLS by HTTP/2 too."""
    context = ssl.create_default_context(cafile=trusted) if trusted else True
    chat = f"{url}/v1/chat/completions"
    with httpx.stream("POST", chat, json=BODY, verify=context, timeout=20) as reply:
        read = reply.read()
    assert reply.status_code == 200 and read.endswith(b"data: [DONE]\n\n"), read

    # The ninth event is not sent as long as anyone waits for it: held back, those before it would not come either.
    headers, read = {"x-mock-fault": "stall@event=9"}, b""
    try:
        with httpx.stream("POST", chat, json=BODY, headers=headers, verify=context, timeout=10) as reply:
            pieces = reply.iter_raw()
            while read.count(b"data: ") < 8:
                read += next(pieces)
    except httpx.ReadTimeout:
        raise AssertionError(f"it was held back: {read}") from None

    headers = {"x-mock-speed": "0.2", "x-stream-on-disconnect": "cancel"}
    with httpx.stream("POST", chat, json=BODY, headers=headers, verify=context, timeout=20) as reply:
        next(reply.iter_raw())
    completion = f"{chat}/{reply.headers['x-completion-id']}"
    deadline, status = time.monotonic() + 30, None
    while status != "cancelled":
        assert time.monotonic() < deadline, f"it is {status} after its reader has left"
        status = httpx.get(completion, verify=context).json()["status"]

    if trusted:
        curl = ["curl", "-sS", "--http2", "--cacert", trusted, "-o", "/dev/null", "-w", "%{http_version}", f"{url}/livez"]
        assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout == "2"
