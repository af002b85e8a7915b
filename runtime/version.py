"""The version of the product and of the protocols between its processes."""

VERSION = "0.1.0"
PROTOCOL = 1
"""Raised whenever engine, zygote or shim messages change in a way the other side cannot read."""
