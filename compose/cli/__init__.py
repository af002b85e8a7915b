"""The command line: one module per command, and the renderers of its output."""
