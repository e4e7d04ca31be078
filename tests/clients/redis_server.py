"""A real redis-server for several nodes. `TOKENFALL_TEST_REDIS` names another binary, such as Valkey's."""

import contextlib
import os
import socket
import subprocess
import time

BINARY = os.environ.get("TOKENFALL_TEST_REDIS", "redis-server")
STARTS_WITHIN = 10.0


@contextlib.contextmanager
def running():
    """Yields the URL of a server that keeps nothing on disk."""
    with socket.socket() as port:
        # Bound and not listened on, so that nobody else gets it by chance.
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 0))
        address = port.getsockname()
        flags = ["--port", str(address[1]), "--bind", address[0], "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([BINARY, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_for(address, process)
            yield f"redis://{address[0]}:{address[1]}"
        finally:
            process.kill()
            process.wait()


def wait_for(address: tuple[str, int], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address):
            return
        assert process.poll() is None, f"exit code {process.returncode}"
        time.sleep(0.01)  # between two looks, not instead of one
    raise TimeoutError(f"no redis-server at {address} within {STARTS_WITHIN} s")
