"""Let clients attach between the creation of a run and its start, so that they miss nothing it writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.engine.log import log

if TYPE_CHECKING:
    from runtime.engine.container import Container

ATTACH_TIMEOUT = 5.0
"""Seconds that a start waits for a client that wants to be attached first."""


class FirstAttach:
    """A client that waits for the next run of a container."""

    def __init__(self) -> None:
        self.created = asyncio.Event()
        """The shim takes attach requests."""
        self.settled = asyncio.Event()
        """The client is attached, or gave up."""


async def let_attach(container: Container) -> None:
    """A run was created and may start once this returns: those who wait for it are attached, or took too long."""
    waiting, container.attaching = container.attaching, []
    for client in waiting:
        client.created.set()
    for client in waiting:
        try:
            await asyncio.wait_for(client.settled.wait(), ATTACH_TIMEOUT)
        except TimeoutError:
            log.warning("container %s: a client did not attach in time", container.record.name)
