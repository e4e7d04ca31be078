"""The pages' modules by themselves: their tests are Node's own, in probes/web_modules.test.mjs."""

from sdk import run_probe


def test_the_modules_that_need_no_page_do_what_they_say():
    run_probe("node", "--test", "web_modules.test.mjs")
