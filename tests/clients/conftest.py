"""The servers the tests talk to, and the SDKs they talk with."""

import contextlib

import pytest

import binary
from sdk import SDKS, Sdk

SERVERS = pytest.StashKey[list[binary.Server]]()

# A paced mock gives a token about every 17 ms: there is time for a heartbeat in each of its gaps.
HEARTBEAT_IN_EVERY_GAP = {"TOKENFALL__STREAM__HEARTBEAT": "10ms", "TOKENFALL__STREAM__COMMIT_AFTER": "10ms"}


@pytest.fixture(scope="session")
def serve(tmp_path_factory, request):
    """`with serve("--instant") as server:` runs the binary; its log is shown if the test fails."""
    request.config.stash[SERVERS] = running = []

    @contextlib.contextmanager
    def started(*flags: str, **settings):
        with binary.serve(tmp_path_factory.mktemp("tokenfall"), *flags, **settings) as server:
            running.append(server)
            try:
                yield server
            finally:
                running.remove(server)

    return started


@pytest.fixture(scope="session")
def mock(serve):
    with serve("--instant") as server:
        yield server


@pytest.fixture(scope="session")
def proxy(serve, mock):
    with serve("--upstream", mock.base_url) as server:
        yield server


@pytest.fixture(scope="session")
def beating_mock(serve):
    with serve(env=HEARTBEAT_IN_EVERY_GAP) as server:
        yield server


@pytest.fixture(scope="session")
def beating_proxy(serve, beating_mock):
    with serve("--upstream", beating_mock.base_url, env=HEARTBEAT_IN_EVERY_GAP) as server:
        yield server


@pytest.fixture(params=["mock", "proxy"])
def server(request) -> binary.Server:
    """The mock as fast as it can, and the proxy in front of it."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["mock", "proxy"])
def beating_server(request) -> binary.Server:
    """The same two at a model's pace, with heartbeats in every gap."""
    return request.getfixturevalue(f"beating_{request.param}")


@pytest.fixture(params=SDKS, ids=lambda sdk: sdk.name)
def sdk(request) -> Sdk:
    return request.param


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for server in item.config.stash.get(SERVERS, []):
            report.sections.append((f"log of {server.url}", server.log_tail()))
    return report
