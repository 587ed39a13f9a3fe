"""The tests of parmap: run `python -m pytest` at the root of the repository."""
