"""The Node fetch by itself: its tests are Node's own, in probes/resuming_fetch.test.mjs."""

from sdk import run_probe


def test_the_fetch_resumes_every_cut_and_lets_be_what_it_has_to():
    run_probe("node", "--test", "resuming_fetch.test.mjs")
