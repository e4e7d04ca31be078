"""A real nginx in front of a server, with nothing set but where that is: what is not said is nginx's default.

Its default towards upstreams is HTTP/1.0, with `Connection: close` and buffering on.
"""

import contextlib
import subprocess
from pathlib import Path

from ports import free_port, wait_until_open

CONFIG = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format requests '$server_protocol $connection $status';
    access_log {directory}/access.log requests;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} {listen};
        {tls}
        location / {{
            proxy_pass {upstream};
            {more}
        }}
    }}
}}
"""


@contextlib.contextmanager
def in_front_of(upstream: str, directory: Path, more: str = "", certificate: Path | None = None):
    """Yields the URL of an nginx whose upstream is this URL; `more` is put into its location.

    With a certificate (its key is beside it, as `.key`) it speaks HTTP/2 over TLS."""
    port = free_port()
    config = directory / "nginx.conf"
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {certificate}.key;" if certificate else ""
    listen = "ssl http2" if certificate else ""
    config.write_text(CONFIG.format(directory=directory, port=port, upstream=upstream, more=more, listen=listen, tls=tls))
    command = ["nginx", "-p", directory, "-e", directory / "error.log", "-c", config]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until_open(port, process)
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
