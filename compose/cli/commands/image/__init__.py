"""Commands of `pycompose image`."""
