"""Commands of `pycompose engine`."""
