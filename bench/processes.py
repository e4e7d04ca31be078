"""Everything that is measured or measures: started on a free port, and stopped with what it started."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000;
    upstream model {{ server 127.0.0.1:{upstream}; keepalive 1000; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""


# Seconds for what takes less than one, but under valgrind, on a machine that has no time for it, and for some peers.
STARTS_WITHIN = 60.0


class Running:
    """A process that listens."""

    def __init__(self, process: subprocess.Popen, port: int):
        self.process = process
        self.port = port
        self.pid = process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Until Tokenfall says that it is: with Redis it listens before it has reached that."""
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return
            time.sleep(0.01)
        raise SystemExit(f"{self.url} is not ready after {STARTS_WITHIN} s")

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@contextlib.contextmanager
def started(command: list, port: int, environment: dict[str, str] | None = None):
    """Runs a command that listens on this port, until it is not needed any more; what it said is shown where it fails."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, **(environment or {})},
        )
        try:
            is_open = wait_until_open(port, process)
            if is_open:
                yield Running(process, port)
            if not is_open or process.poll() is not None:
                said.seek(0)
                tail = said.read()[-2000:].decode(errors="replace")
                what = f"{command[0]} does not listen on {port}, or not any more"
                raise SystemExit(f"{what} (exit code {process.poll()}):\n{tail}")
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Peers:
    """The binaries, and how each is started."""

    def __init__(self, server: Path, peers: Path, directory: Path):
        self.server = server
        self.peers = peers
        self.directory = directory

    def upstream(self):
        """The bare writer: a model server that does nothing else."""
        port = free_port()
        return started([self.peers / "upstream", port], port)

    def fan_out(self):
        """The bare writer of one stream for many readers."""
        port = free_port()
        return started([self.peers / "fan_out", port], port)

    def relay(self, upstream: Running):
        """actix-web and reqwest, and nothing between them."""
        port = free_port()
        return started([self.peers / "relay", port, upstream.url], port)

    def nginx(self, upstream: Running):
        """The system's nginx, one worker, without buffering."""
        port = free_port()
        directory = self.directory / f"nginx-{port}"
        directory.mkdir()
        config = directory / "nginx.conf"
        descriptors = int(subprocess.check_output(["sh", "-c", "ulimit -Hn"], text=True))
        text = NGINX.format(
            directory=directory,
            port=port,
            upstream=upstream.port,
            descriptors=descriptors,
            connections=min(descriptors, 16384),
        )
        config.write_text(text)
        error_log = directory / "error.log"
        return started(["nginx", "-p", directory, "-e", error_log, "-c", config], port)

    def tokenfall(self, upstream: Running, **settings: str):
        """Tokenfall as a proxy, with what users get on: log, resuming, usage, metrics."""
        return self.serve(["--upstream", f"{upstream.url}/v1"], **settings)

    def mock(self, *arguments: object, **settings: str):
        """Tokenfall as the model."""
        prompts = Path(__file__).parent / "prompts"
        return self.serve(["--prompts", prompts, *arguments], **settings)

    def serve(self, arguments: list, **settings: str):
        """Tokenfall; settings are named `section__key`."""
        return tokenfall(self.server, arguments, settings)

    def litellm(self, upstream: Running):
        """LiteLLM's proxy: its defaults, one process, nothing kept and no keys, as with the others."""
        port = free_port()
        config = self.directory / f"litellm-{port}.yaml"
        to = {"model": "openai/*", "api_base": f"{upstream.url}/v1", "api_key": "unused"}
        config.write_text(json.dumps({"model_list": [{"model_name": "*", "litellm_params": to}]}))
        command = ["litellm", "--config", config, "--host", "127.0.0.1", "--port", port, "--telemetry", "False"]
        environment = {
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            # Prices are fetched from the network otherwise.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        return started(command, port, environment)

    def aimock(self, between_ms: int):
        """aimock with the answers that the mock has: a chunk for the role, a word each, and the end."""
        port = free_port()
        fixtures = self.directory / "aimock.json"
        answers = [
            {"match": {"userMessage": f"{chunks} chunks"}, "response": {"content": " river" * (chunks - 2)}}
            for chunks in (100, 200)
        ]
        fixtures.write_text(json.dumps({"fixtures": answers}))
        command = ["llmock", "--fixtures", fixtures, "--port", port, "--log-level", "silent"]
        return started([*command, "--chunk-size", len(" river"), "--latency", between_ms], port)

    def redis(self):
        """The system's Redis, without files."""
        port = free_port()
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return started(command, port)


def tokenfall(server: Path, arguments: list, settings: dict[str, str], under: list = ()):
    """Tokenfall, as an argument of another command where that is to watch it; settings are named `section__key`."""
    port = free_port()
    environment = {f"TOKENFALL__{name.upper()}": value for name, value in settings.items()}
    environment.setdefault("TOKENFALL__SERVER__LOG", "warn")
    return started([*under, server, "serve", "--port", port, *arguments], port, environment)


def at_pace(directory: Path, tokens_per_second: int) -> Path:
    """The configuration of a mock that answers at this pace."""
    config = directory / "paced.toml"
    config.write_text(f"mock.profile = 'paced'\n[mock.profiles.paced]\ntokens_per_second = {tokens_per_second}\n")
    return config


def missing() -> list[str]:
    """What has to be installed first."""
    return [name for name in ("nginx", "redis-server", "cargo") if shutil.which(name) is None]


def is_there(command: str) -> bool:
    """Whether somebody who is measured only where he is installed can be."""
    return shutil.which(command) is not None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_open(port: int, process: subprocess.Popen) -> bool:
    """Whether the process listens there in time."""
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.001)
    return False
