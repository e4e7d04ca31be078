"""The running server does what its own OpenAPI document says, streams included.

schemathesis makes requests from the document, right ones and wrong ones, and holds every answer to it: status,
content type, headers, body, and for `text/event-stream` each event to `itemSchema`.
"""

import subprocess
from pathlib import Path

import httpx
import pytest

from binary import REPOSITORY, clean_environment

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize("document", ["openapi.json", "openapi-3.1.json"])
def test_the_server_keeps_to_its_document(mock, tmp_path, document):
    command = [REPOSITORY / ".venvs/tools/bin/schemathesis", "--no-color", "--config-file", CONFIG]
    command += ["run", f"{mock.url}/{document}", "--report", "json", "--report-json-path", "report.json"]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert httpx.get(f"{mock.url}/readyz").status_code == 200, "the server has to go on"
