"""Ports for servers that have to be told one."""

import contextlib
import socket
import subprocess
import time

from binary import STARTS_WITHIN

HELD: list[socket.socket] = []


def free_port() -> int:
    """One that nobody else gets while the tests run: it is bound here, and not listened on."""
    port = socket.socket()
    # As the servers do, so that they can have it too.
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("127.0.0.1", 0))
    HELD.append(port)
    return port.getsockname()[1]


def wait_until_open(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)  # between two looks, not instead of one
    raise TimeoutError(f"{process.args[0]} does not listen within {STARTS_WITHIN} s")
