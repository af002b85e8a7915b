"""The engine's own log: one line an event on standard error, which the daemon points at engine.log."""

from __future__ import annotations

import logging

log = logging.getLogger("pycompose.engine")


def configure(level: int = logging.INFO) -> None:
    """Called once by the daemon; libraries stay at WARNING."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    log.setLevel(level)
