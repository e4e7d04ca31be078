"""The running server does what its own OpenAPI document says, streams included.

schemathesis makes requests from the document, right ones and wrong ones, and holds every answer to it: status,
content type, headers, body, and for `text/event-stream` each event to `itemSchema`.
"""

from pathlib import Path

import httpx
import pytest

from binary import REPOSITORY
from programs import run

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize("document", ["openapi.json", "openapi-3.1.json"])
def test_the_server_keeps_to_its_document(mock, tmp_path, document):
    options = ["--no-color", "--config-file", CONFIG, "run", f"{mock.url}/{document}"]
    report = ["--report", "json", "--report-json-path", "report.json"]
    run(REPOSITORY / ".venvs/tools/bin/schemathesis", *options, *report, cwd=tmp_path, within=170)
    assert httpx.get(f"{mock.url}/readyz").status_code == 200, "the server has to go on"
