"""The official Python SDK's own API tests, from its source archive, as they are, against the mock.

Many of them close a stream unread; test_streams.py and test_endpoints.py read theirs.
"""

from xml.etree import ElementTree

import pytest

from binary import REPOSITORY
from programs import run

PYTHON = REPOSITORY / ".venvs/sdktests/bin/python"
(SOURCE,) = (REPOSITORY / ".venvs").glob("openai-*")

# The strict client of these tests asks for embeddings in base64, and then accepts numbers alone.
NUMBERS_ALONE = {"TOKENFALL__MOCK__BASE64_EMBEDDINGS": "false"}

SUITES = {
    "chat/test_completions.py": 120,
    "test_completions.py": 40,
    "test_models.py": 55,
    "test_embeddings.py": 20,
    "test_moderations.py": 20,
    "chat/completions/test_messages.py": 25,
}


@pytest.fixture(scope="module")
def mock_of_numbers(serve):
    with serve("--instant", env=NUMBERS_ALONE) as server:
        yield server


@pytest.mark.parametrize("suite", SUITES)
def test_the_sdks_own_tests_pass_whole(mock_of_numbers, tmp_path, suite):
    report = tmp_path / "report.xml"
    # Its own options are for many cores and for a plugin that is not needed.
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "--tb=short", f"--junit-xml={report}"]
    environment = {"TEST_API_BASE_URL": mock_of_numbers.base_url, "PYTHONDONTWRITEBYTECODE": "1"}
    run(PYTHON, "-m", "pytest", *options, f"tests/api_resources/{suite}", cwd=SOURCE, **environment)
    (counts,) = ElementTree.parse(report).iter("testsuite")
    counted = {name: int(counts.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": SUITES[suite], "failures": 0, "errors": 0, "skipped": 0}
