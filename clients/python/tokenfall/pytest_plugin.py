"""Fixtures for pytest, which finds them by itself where the package is installed.

    def test_greeting(tokenfall_session):
        tokenfall_session.scenarios({"hello": {"match": {"last_user": "Hi"}, "reply": {"text": "Hello!"}}})
        client = OpenAI(base_url=tokenfall_session.base_url, api_key=tokenfall_session.api_key,
                        default_headers=tokenfall_session.headers)
        …
        tokenfall_session.verify({"last_user": "Hi"}, count=1)
"""

import pytest

from tokenfall import mock

_SESSION = pytest.StashKey[mock.Session]()


@pytest.fixture(scope="session")
def tokenfall_options() -> dict:
    """What the server is started with; a conftest.py may say otherwise: `{"args": [flags], "prompts": folder}`."""
    return {}


@pytest.fixture(scope="session")
def tokenfall(tokenfall_options):
    """One server for all tests of this process."""
    options = dict(tokenfall_options)
    with mock.start(*options.pop("args", ()), **options) as server:
        yield server


@pytest.fixture
def tokenfall_session(tokenfall, request):
    """The server as this test alone sees it. When the test fails, its requests are shown."""
    session = request.node.stash[_SESSION] = tokenfall.session()
    yield session
    session.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    session = item.stash.get(_SESSION, None)
    if report.failed and call.when == "call" and session:
        report.sections.append(("requests to tokenfall", _journal(session)))
    return report


def _journal(session: mock.Session) -> str:
    try:
        return session.journal()
    except (OSError, RuntimeError) as error:  # of a server that is gone, its log says more
        return f"{error}\n{session.mock.log()}"
