"""The Node fetch by itself: its tests are Node's own, in probes/resuming_fetch.test.mjs."""

import subprocess

from sdk import PROBES
from tokenfall import clean_environment


def test_the_fetch_resumes_every_cut_and_lets_be_what_it_has_to():
    run = subprocess.run(
        ["node", "--test", "resuming_fetch.test.mjs"],
        cwd=PROBES,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert run.returncode == 0, run.stdout + run.stderr
