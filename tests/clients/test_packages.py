"""The packages that scripts/package makes of the binary under test: they install, and what they give needs nothing else."""

import contextlib
import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from binary import BINARY, REPOSITORY, STOPS_WITHIN, clean_environment, wait_for_line
from programs import run

CLIENTS = REPOSITORY / "clients"
VERSION = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
TARGET = f"{platform.machine()}-unknown-linux-gnu"
NPM_PLATFORM = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}[platform.machine()]
TSC = REPOSITORY / "tests/clients/types/node_modules/.bin/tsc"


def blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    run("scripts/package", folder, f"{TARGET}={BINARY}", GITHUB_REPOSITORY="someone/tokenfall")
    return folder


@pytest.fixture(scope="module")
def python(packages, tmp_path_factory) -> Path:
    """A new environment with the wheel, pytest and the SDK."""
    folder = tmp_path_factory.mktemp("python")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (wheel,) = packages.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", folder, "install", "--no-index", "--disable-pip-version-check", wheel)
    (site,) = folder.glob("lib/python3*/site-packages")
    others = [next((REPOSITORY / ".venvs" / name / "lib").glob("python3*/site-packages")) for name in ("tools", "openai3")]
    (site / "others.pth").write_text("".join(f"{other}\n" for other in others))
    return folder / "bin/python"


@pytest.fixture(scope="module")
def project(packages, tmp_path_factory) -> Path:
    """A new Node project with the npm packages and the SDK."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{ "private": true, "type": "module" }')
    npm = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--loglevel", "error"]
    run(*npm, *sorted(packages.glob("*.tgz")), cwd=folder)
    (folder / "node_modules/openai").symlink_to(REPOSITORY / "tests/clients/node_modules/openai-latest")
    return folder


# What is in them


def test_everything_has_the_version_of_the_crate(packages):
    names = {file.name for file in packages.iterdir()}
    archive, main, own = f"tokenfall-{VERSION}-{TARGET}.tar.gz", f"tokenfall-{VERSION}.tgz", f"tokenfall-{NPM_PLATFORM}-{VERSION}.tgz"
    wheel = f"tokenfall-{VERSION}-py3-none-linux_{platform.machine()}.whl"
    assert names == {archive, wheel, main, own, "SHA256SUMS"}
    abouts = [npm_about(packages / name) for name in (main, own)]
    assert {about["version"] for about in abouts} == {VERSION}
    # Where npm asks whether a release may publish it.
    assert {about["repository"]["url"] for about in abouts} == {"git+https://github.com/someone/tokenfall.git"}
    optional = abouts[0]["optionalDependencies"]
    assert optional == {"@tokenfall/linux-x64": VERSION, "@tokenfall/linux-arm64": VERSION}
    assert abouts[1]["name"] in optional


def npm_about(package: Path) -> dict:
    with tarfile.open(package) as files:
        return json.load(files.extractfile("package/package.json"))


def test_every_package_carries_the_binary_the_licence_and_its_checksum(packages):
    binary = hashlib.sha256(BINARY.read_bytes()).hexdigest()
    for archive in (f"tokenfall-{VERSION}-{TARGET}.tar.gz", f"tokenfall-{NPM_PLATFORM}-{VERSION}.tgz"):
        with tarfile.open(packages / archive) as files:
            folder = files.getnames()[0].split("/")[0]
            held = files.getmember(f"{folder}/tokenfall")
            assert hashlib.sha256(files.extractfile(held).read()).hexdigest() == binary and held.mode & 0o777 == 0o755
            assert f"{folder}/LICENSE" in files.getnames()
    with zipfile.ZipFile(next(packages.glob("*.whl"))) as files:
        assert hashlib.sha256(files.read(f"tokenfall-{VERSION}.data/scripts/tokenfall")).hexdigest() == binary
    run("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", cwd=packages)
    assert len((packages / "SHA256SUMS").read_text().splitlines()) == len(list(packages.iterdir())) - 1


def test_the_archive_runs_where_it_is_unpacked_and_tells_shells_and_man(packages, tmp_path):
    run("tar", "-xzf", packages / f"tokenfall-{VERSION}-{TARGET}.tar.gz", "--strip-components=1", cwd=tmp_path)
    assert run(tmp_path / "tokenfall", "--version") == f"tokenfall {VERSION}\n"
    for told in ("completions/tokenfall.bash", "completions/_tokenfall", "completions/tokenfall.fish", "man/man1/tokenfall.1"):
        assert "serve" in (tmp_path / told).read_text(), told


def test_the_same_binary_makes_the_same_packages(packages, tmp_path):
    again = tmp_path / "again"
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "GITHUB_REPOSITORY": "someone/tokenfall"}
    run("bash", "-c", 'umask 077; exec scripts/package "$@"', "sh", again, f"{TARGET}={BINARY}", **elsewhere)
    assert (again / "SHA256SUMS").read_text() == (packages / "SHA256SUMS").read_text()


@pytest.mark.parametrize("pair, why", [("riscv64gc-unknown-linux-gnu=/bin/true", "no packages"), ("x=/no/such/binary", "no binary")])
def test_what_cannot_be_packaged_is_refused(pair, why, tmp_path):
    with pytest.raises(AssertionError, match=why):
        run("scripts/package", tmp_path, f"{TARGET}={BINARY}", pair)


def test_a_binary_of_another_version_is_refused(tmp_path):
    other = tmp_path / "tokenfall"
    other.write_text("#!/bin/sh\necho tokenfall 0.0.1\n")
    other.chmod(0o755)
    with pytest.raises(AssertionError, match="Cargo.toml says"):
        run("scripts/package", tmp_path / "dist", f"{TARGET}={other}")


# Python


def test_the_wheel_puts_the_binary_on_the_path(python):
    bin_ = python.parent
    assert run(bin_ / "tokenfall", "--version") == f"tokenfall {VERSION}\n"
    # Found also where the environment's own PATH is not set.
    where = "import tokenfall.mock; print(tokenfall.mock.__file__, tokenfall.mock.find_binary())"
    module, binary = run(python, "-c", where, cwd=bin_).split()
    assert Path(binary) == bin_ / "tokenfall" and Path(module).is_relative_to(bin_.parent)


def test_the_readme_of_the_wheel_is_true(python, tmp_path, serve):
    test, conftest, script, resuming = blocks(CLIENTS / "python/README.md", "python")
    (tmp_path / "test_it.py").write_text(test)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "prompts").mkdir()
    assert "1 passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path, cwd=tmp_path)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1\n", run(python, "-c", script, cwd=tmp_path))
    with serve("--instant") as server:
        assert "Hello!" in run(python, "-c", resuming.replace("http://127.0.0.1:8080/v1", server.base_url), cwd=tmp_path)


# Node


def test_npm_puts_the_binary_on_the_path(project):
    launcher = project / "node_modules/.bin/tokenfall"
    assert run(launcher, "--version") == f"tokenfall {VERSION}\n"
    find = "import { findBinary } from 'tokenfall'; console.log(findBinary())"
    binary = run("node", "--input-type=module", "-e", find, cwd=project).strip()
    assert binary == str(project / "node_modules/@tokenfall" / NPM_PLATFORM / "tokenfall")
    failed = subprocess.run([launcher, "check", "--config", "/no/such/file"], env=clean_environment(), capture_output=True)
    assert failed.returncode == 2 and b"/no/such/file" in failed.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_the_launcher_stops_the_server_that_it_started(project, tmp_path, stop):
    stdout, stderr = tmp_path / "stdout", tmp_path / "stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        command = [project / "node_modules/.bin/tokenfall", "serve", "--port", "0", "--instant"]
        launcher = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    wait_for_line(launcher, rb"(http://127\.0\.0\.1:\d+)/v1", stdout, stderr)
    (child,) = map(int, Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split())
    try:
        launcher.send_signal(stop)
        # A server without a file to read again ends of SIGHUP, and the launcher as it did.
        assert launcher.wait(STOPS_WITHIN) == (0 if stop == signal.SIGTERM else -stop), stderr.read_text()
        assert not Path(f"/proc/{child}").exists()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_platform_without_a_package_is_told_so(packages, tmp_path):
    run("tar", "-xzf", packages / f"tokenfall-{VERSION}.tgz", cwd=tmp_path)
    with pytest.raises(AssertionError, match=f"@tokenfall/{NPM_PLATFORM} is not installed"):
        run("node", tmp_path / "package/launch.mjs", "--version")


def test_the_readme_of_the_npm_package_is_true(project, serve):
    test, resuming = blocks(CLIENTS / "node/README.md", "js")
    (project / "readme.test.mjs").write_text(test)
    assert "# pass 1" in run("node", "--test", "--test-reporter=tap", "readme.test.mjs", cwd=project)
    with serve("--instant") as server:
        (project / "resuming.mjs").write_text(resuming.replace("http://127.0.0.1:8080/v1", server.base_url))
        assert "Hello!" in run("node", "resuming.mjs", cwd=project)


def test_the_types_are_those_of_what_is_used(project):
    """`@ts-expect-error` in the probe makes a type that is missing or too wide an error."""
    (project / "uses.mts").write_text((REPOSITORY / "tests/clients/probes/uses_types.mts").read_text())
    types = REPOSITORY / "tests/clients/types/node_modules/@types"
    flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,esnext.disposable,dom"]
    run(TSC, *flags, "--typeRoots", types, "--types", "node", "uses.mts", cwd=project)
