"""Restart and health decisions as pure functions of history and time."""
