"""Let clients attach between the creation of a run and its start, so that they miss nothing it writes."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.engine.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.engine.container import Container

ATTACH_TIMEOUT = 5.0
"""Seconds that a start waits for a client that wants to be attached first."""


class FirstAttach:
    """A client that waits for the next run of a container."""

    def __init__(self) -> None:
        self.created: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """Done when the shim takes attach requests."""
        self.settled = asyncio.Event()
        """The client is attached, or gave up."""


@contextmanager
def announced(container: Container) -> Iterator[FirstAttach]:
    """A client that the next run waits for, within the block at most."""
    waiting = FirstAttach()
    container.attaching.append(waiting)
    try:
        yield waiting
    finally:
        waiting.created.cancel()
        waiting.settled.set()
        if waiting in container.attaching:
            container.attaching.remove(waiting)


async def let_attach(container: Container) -> None:
    """A run was created and may start once this returns: those who wait for it are attached, or took too long."""
    waiting, container.attaching = container.attaching, []
    for client in waiting:
        if not client.created.done():  # a client may have left a moment ago
            client.created.set_result(None)
    for client in waiting:
        try:
            await asyncio.wait_for(client.settled.wait(), ATTACH_TIMEOUT)
        except TimeoutError:
            log.warning("container %s: a client did not attach in time", container.record.name)
