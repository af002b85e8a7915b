"""Commands of `pycompose network`."""
