"""The examples that build, on an engine that has a Debian image for their bases."""

from __future__ import annotations

from tests.integration.software.conftest import debian_engine, software

__all__ = ["debian_engine", "software"]
