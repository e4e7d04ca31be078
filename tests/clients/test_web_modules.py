"""The pages' modules by themselves: their tests are Node's own, in probes/web_modules.test.mjs."""

import subprocess

from sdk import PROBES
from tokenfall import clean_environment


def test_the_modules_that_need_no_page_do_what_they_say():
    run = subprocess.run(
        ["node", "--test", "web_modules.test.mjs"],
        cwd=PROBES,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert run.returncode == 0, run.stdout + run.stderr
