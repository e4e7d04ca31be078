"""The GitHub action: its file is read as GitHub reads it, and its steps are run as a runner runs them."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from binary import BINARY, REPOSITORY, clean_environment

FOLDER = REPOSITORY / ".github/actions/tokenfall"


@pytest.fixture
def action() -> dict:
    return yaml.safe_load((FOLDER / "action.yml").read_text())


@contextmanager
def run(action: dict, temp: Path, **inputs: str):
    """Yields the exit code, the output and what the steps have exported. What they started is ended."""
    values = {f"inputs.{name}": inputs.get(name, about["default"]) for name, about in action["inputs"].items()}
    exported, log = {}, ""
    # A session of its own, so that what is left of it can be found.
    environment = clean_environment() | {"RUNNER_TEMP": str(temp), "GITHUB_ACTION_PATH": str(FOLDER)}
    groups, code = [], 0
    try:
        for step in action["runs"]["steps"]:
            files = {name: temp / f"{step['id']}.{name}" for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
            for file in files.values():
                file.touch()
            own = {name: filled(text, values) for name, text in step["env"].items()}
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled(step["run"], values)],
                env=environment | {name: str(file) for name, file in files.items()} | own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            groups.append(process.pid)
            log += process.communicate(timeout=60)[0]
            code = process.returncode
            if code:
                break
            outputs = pairs(files["GITHUB_OUTPUT"])
            values |= {f"steps.{step['id']}.outputs.{name}": value for name, value in outputs.items()}
            exported |= pairs(files["GITHUB_ENV"])
        outputs = {name: filled(about["value"], values) for name, about in action["outputs"].items()} if not code else {}
        yield code, log, exported, outputs
    finally:
        for group in groups:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                pass  # nothing is left of it


def filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text)


def pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_the_job_has_a_model_and_knows_where(action, tmp_path):
    with run(action, tmp_path, binary=str(BINARY), args="--instant --deterministic") as (code, log, exported, outputs):
        assert code == 0, log
        assert exported["OPENAI_API_KEY"] and outputs == {"base-url": exported["OPENAI_BASE_URL"]}
        with urlopen(f"{exported['OPENAI_BASE_URL']}/models") as reply:
            assert b"tokenfall-mock" in reply.read()


def test_a_server_that_does_not_start_says_why(action, tmp_path):
    with run(action, tmp_path, binary=str(BINARY), args="--prompts /no/such/folder") as (code, log, exported, _):
        assert code == 1 and not exported
        assert "/no/such/folder" in log and "::error::tokenfall did not start" in log


def test_without_a_binary_its_own_source_is_built(action, tmp_path):
    """With a cargo that only says what it was asked for: a build would take minutes."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cargo").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nmkdir -p "$RUNNER_TEMP/tokenfall/bin"\n'
                                 f'ln -s {BINARY} "$RUNNER_TEMP/tokenfall/bin/tokenfall"\n')  # fmt: skip
    (tools / "cargo").chmod(0o755)
    for step in action["runs"]["steps"]:
        step["env"]["PATH"] = f"{tools}:{os.environ['PATH']}"
    with run(action, tmp_path) as (code, log, exported, _):
        assert code == 0, log
        assert "OPENAI_BASE_URL" in exported
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == "install" and "--locked" in asked
    assert (Path(asked[asked.index("--path") + 1]) / "Cargo.toml").is_file()
    assert asked[asked.index("--root") + 1] == f"{tmp_path}/tokenfall"


def test_every_input_reaches_a_step_through_its_environment(action):
    """Never by being pasted into a script, where it could be one."""
    steps = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite" and all(step["shell"] == "bash" for step in steps)
    assert not any("${{" in step["run"] for step in steps)
    used = {name for step in steps for text in step["env"].values() for name in re.findall(r"inputs\.(\w+)", text)}
    assert used == set(action["inputs"])
