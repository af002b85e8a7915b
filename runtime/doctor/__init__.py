"""Tell what this machine offers to the runtime: `python -m runtime.doctor`, without an engine."""
