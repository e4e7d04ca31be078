"""GitHub's workflows, as far as they can be looked at without GitHub: their schema, their security, what they name."""

import json
import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from binary import BINARY, REPOSITORY, clean_environment

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((REPOSITORY / ".github/actions").glob("*/action.yml"))
TOOLS = REPOSITORY / ".venvs/package/bin"
VERSION = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]


def run(*command, cwd=REPOSITORY, **options) -> subprocess.CompletedProcess:
    env = clean_environment()
    return subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=180, **options)


@pytest.fixture
def release() -> dict:
    return yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text())["jobs"]


@pytest.mark.parametrize("schema, files", [("workflows", WORKFLOWS), ("actions", ACTIONS)])
def test_they_are_what_the_schema_says(schema, files):
    done = run(TOOLS / "check-jsonschema", "--builtin-schema", f"vendor.github-{schema}", *files)
    assert files and done.returncode == 0, done.stdout


def test_nothing_in_them_is_known_to_be_unsafe():
    """Permissions, what is pasted into scripts, actions that are not pinned to a commit."""
    done = run(TOOLS / "zizmor", "--offline", "--no-progress", "--strict-collection", ".github")
    assert done.returncode == 0, done.stdout


def test_their_scripts_can_be_read_by_bash_and_name_what_is_there():
    steps = [step for file in WORKFLOWS for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job.get("steps", [])]
    scripts = [step["run"] for step in steps if "run" in step]
    assert scripts
    for script in scripts:
        assert run("bash", "-n", input=script).returncode == 0, script
        for named in re.findall(r"(?<![\w/.])(?:scripts/[\w-]+|\.ci/run)", script):
            assert (REPOSITORY / named).stat().st_mode & 0o111, named


def test_what_a_releases_profile_is_made_of_can_be_run():
    """`scripts/pgo` without its two builds: every stream of the load comes whole."""
    done = run(REPOSITORY / "scripts/pgo", "--train", BINARY)
    assert done.returncode == 0, done.stderr


def test_a_profile_without_its_tool_says_how_to_get_it(tmp_path):
    """Before anything is built."""
    rustc = tmp_path / "rustc"
    rustc.write_text("#!/bin/sh\n[ $# = 2 ] && echo /nowhere/lib || echo 'LLVM version: 99.1.0'\n")
    rustc.chmod(0o755)
    done = run("env", f"PATH={tmp_path}:{os.environ['PATH']}", REPOSITORY / "scripts/pgo")
    assert done.returncode == 1 and "rustup component add llvm-tools, or apt-get install llvm-99" in done.stderr


def test_each_platform_is_built_packaged_and_asked_for_by_npm(release):
    built = {entry["target"] for entry in release["binary"]["strategy"]["matrix"]["include"]}
    (script,) = [step["run"] for step in release["packages"]["steps"] if "scripts/package" in step.get("run", "")]
    packaged = dict(re.findall(r"(\S+-musl)=binaries/binary-(\S+)/tokenfall", script))
    assert packaged == {target: target for target in built}
    cpus = {"x86_64": "x64", "aarch64": "arm64"}
    asked = json.loads((REPOSITORY / "clients/node/package.json").read_text())["optionalDependencies"]
    assert set(asked) == {f"@tokenfall/linux-{cpus[target.split('-')[0]]}" for target in built}


def test_only_a_tag_publishes_and_only_what_was_tested(release):
    publishing = {name for name, job in release.items() if name == "release" or name.startswith("publish-")}
    for name in publishing - {"release"}:
        assert release[name]["if"] == "github.ref_type == 'tag'" and "packages" in release[name]["needs"], name
    assert set(release["release"]["needs"]) == publishing - {"release"} and "test" in release["packages"]["needs"]


@pytest.fixture
def notes(tmp_path):
    """`scripts/release-notes` of a repository with this changelog."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/release-notes", "Cargo.toml"):
        shutil.copy(REPOSITORY / name, tmp_path / name)

    def notes(changelog: str, tag: str) -> subprocess.CompletedProcess:
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        return run(tmp_path / "scripts/release-notes", tag)

    return notes


CHANGELOG = f"# Changelog\n\n## Unreleased\n\n- later\n\n## {VERSION} - 2026-01-01\n\n### Added\n- this\n\n## 0.0.1 - 2025-01-01\n\n- old\n"


def test_the_release_says_what_the_changelog_says_of_it(notes):
    assert notes(CHANGELOG, f"v{VERSION}").stdout == "\n### Added\n- this\n"


@pytest.mark.parametrize("changelog, tag, why", [
    (CHANGELOG, "v0.0.1", "Cargo.toml has"),
    (CHANGELOG, VERSION, "Cargo.toml has"),
    (CHANGELOG.replace(f"## {VERSION}", "## 9.9.9"), f"v{VERSION}", "has no section"),
    (CHANGELOG.replace("2026-01-01", "unreleased"), f"v{VERSION}", "has no section"),
])  # fmt: skip
def test_a_tag_that_is_not_of_this_version_is_refused(notes, changelog, tag, why):
    done = notes(changelog, tag)
    assert done.returncode == 1 and why in done.stderr and not done.stdout
