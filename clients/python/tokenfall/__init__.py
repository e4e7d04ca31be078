"""Tokenfall for Python: `tokenfall.mock` starts it for tests, `tokenfall.resume` picks up streams that were cut."""
