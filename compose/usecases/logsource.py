"""Read one container's log: the files directly where we may, else through the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from compose.usecases.attachedlog import AttachedLog, keeps_no_log
from runtime.client import logfiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.client.client import Client
    from runtime.client.http1 import Response
    from runtime.wire.containers import ContainerInspect


class Source(Protocol):
    """New complete lines of a log as they come."""

    def read(self) -> bytes:
        """What is there now; empty if nothing."""

    def close(self) -> None: ...


class EngineLog:
    """A log that the engine streams, for a caller who may not open the file."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._rest = b""

    def read(self) -> bytes:
        data = self._response.available()
        if not data:
            return b""
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return b""
        whole, self._rest = self._rest + data[:end], data[end:]
        return whole

    def close(self) -> None:
        self._response.close()


class NoLog:
    """The log of a container whose driver keeps none."""

    def read(self) -> bytes:
        return b""

    def close(self) -> None: ...


def follow(
    client: Client, container: ContainerInspect, *, tail: int | None = None, since: str = "", attach: bool = False
) -> Source:
    """A source that goes on with what is written from now on; with `attach` also where no log is kept."""
    if keeps_no_log(container):
        return AttachedLog(client, container["Id"]) if attach else NoLog()
    path = container.get("LogPath", "")
    if _readable(path):
        return logfiles.Follower(path, tail=tail, since=since)
    return EngineLog(client.logs(container["Id"], follow=True, tail=tail, since=since))


def read(
    client: Client, container: ContainerInspect, *, tail: int | None = None, since: str = "", until: str = ""
) -> Iterator[bytes]:
    """Blocks of lines that are there now, oldest first; none where no log is kept."""
    if keeps_no_log(container):
        return
    path = container.get("LogPath", "")
    if _readable(path):
        yield from logfiles.read(path, tail=tail, since=since, until=until)
        return
    response = client.logs(container["Id"], tail=tail, since=since, until=until)
    try:
        rest = b""
        for piece in response.pieces():
            end = piece.rfind(b"\n") + 1
            if end:
                yield rest + piece[:end]
                rest = b""
            rest += piece[end:]
    finally:
        response.close()


def _readable(path: str) -> bool:
    """Whether the log can be read here: a container that never ran has none, its directory decides then."""
    return bool(path) and (
        os.access(path, os.R_OK) or (not os.path.exists(path) and os.access(os.path.dirname(path), os.R_OK))
    )
