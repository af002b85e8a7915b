"""Commands of `pycompose volume`."""
