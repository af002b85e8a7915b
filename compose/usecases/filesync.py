"""Bring files of the host into containers: what a container is owed, as a tar stream, sent to the engine.

A container that cannot take its files now keeps its debt: the next attempt brings all that has changed since.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING, Final

from runtime.client import archive
from runtime.errors import SystemFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from tarfile import TarInfo

    from runtime.client.attach import FrameStream
    from runtime.client.client import Client

BLOCK = 128 * 1024
PAX: Final = 2
"""The format of long names that tarfile calls PAX_FORMAT."""
DELETIONS = 2000
"""Of one request."""


class Debt:
    """Changes that a container has not got yet."""

    def __init__(self, copies: Mapping[str, str] | None = None, deletions: Iterable[str] = ()) -> None:
        """`copies`: place in the container to path on the host; `deletions`: places in the container."""
        self.copies = dict(copies or {})
        self.deletions = dict.fromkeys(deletions)

    def __bool__(self) -> bool:
        return bool(self.copies or self.deletions)

    def add(self, copies: Mapping[str, str], deletions: Iterable[str]) -> None:
        """Later changes take the place of earlier ones."""
        for path in deletions:
            for below in [each for each in self.copies if each == path or each.startswith(f"{path}/")]:
                del self.copies[below]
            self.deletions[path] = None
        for path in copies:
            # What takes its place may be of another kind: the deletion goes first, which is right for both.
            self.copies.pop(path, None)
        self.copies.update(copies)

    def copy(self) -> Debt:
        return Debt(self.copies, self.deletions)


class Ledger:
    """Who is owed what. A container made while watching is owed all that has changed since the beginning."""

    def __init__(self, services: Iterable[str]) -> None:
        self._changed = {name: Debt() for name in services}
        self._debts: dict[str, Debt] = {}
        self._services: dict[str, str] = {}

    def meet(self, containers: Mapping[str, str]) -> None:
        """The containers there are now: id to service."""
        self._debts = {
            identity: self._debts[identity] if identity in self._debts else self._changed[service].copy()
            for identity, service in containers.items()
        }
        self._services = dict(containers)

    def owe(self, service: str, copies: Mapping[str, str], deletions: Iterable[str]) -> None:
        """All containers of a service are to get these changes."""
        paths = tuple(deletions)
        self._changed[service].add(copies, paths)
        for identity, debt in self._debts.items():
            if self._services[identity] == service:
                debt.add(copies, paths)

    def of(self, identity: str) -> Debt:
        """What a container is owed."""
        return self._debts[identity]

    def paid(self, identity: str) -> None:
        self._debts[identity] = Debt()


def pay(client: Client, container: str, debt: Debt) -> None:
    """Bring a running container everything it is owed. Raises EngineError; SystemFailure names what was refused."""
    deletions = list(debt.deletions)
    while len(deletions) > DELETIONS:
        _check(archive.send(client.archive(container, delete=deletions[:DELETIONS]), ()))
        deletions = deletions[DELETIONS:]
    _check(archive.send(client.archive(container, delete=deletions), pieces(debt.copies)))


def pay_before_start(client: Client, container: str, debt: Debt) -> FrameStream:
    """Announce files for a container's next run; to be handed to `deliver` once the start is under way."""
    return client.archive(container, delete=list(debt.deletions), before_start=True)


def deliver(stream: FrameStream, debt: Debt) -> None:
    """Wait until the container is there and bring it what was announced. Raises EngineError."""
    archive.wait_started(stream)
    _check(archive.send(stream, pieces(debt.copies)))


def give_up(stream: FrameStream) -> None:
    """From another thread: end a `deliver` that waits for a start which will not come."""
    try:
        stream.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it ended already


def pieces(copies: Mapping[str, str]) -> Iterator[bytes]:
    """A tar stream of the files as they are now, owned by root, in blocks; one that is gone is left out."""
    buffer = bytearray()
    for destination, source in copies.items():
        for data in _entry(destination.lstrip("/"), source):
            buffer += data
            if len(buffer) >= BLOCK:
                yield bytes(buffer)
                buffer.clear()
    yield bytes(buffer + bytes(1024))


def _entry(name: str, source: str) -> Iterator[bytes]:
    import tarfile

    info = tarfile.TarInfo(name)
    try:
        status = os.lstat(source)
        info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(source)
        elif stat.S_ISREG(status.st_mode):
            yield from _file(info, source)
            return
        else:
            return
    except OSError:
        return  # gone since: its deletion is the next change
    yield info.tobuf(PAX)


def _file(info: TarInfo, source: str) -> Iterator[bytes]:
    with open(source, "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        yield info.tobuf(PAX)
        left = info.size
        while left and (data := file.read(min(BLOCK, left))):
            left -= len(data)
            yield data
    # A file that was cut meanwhile changes again at once; what was announced must be sent.
    yield bytes(left + -info.size % 512)


def _check(outcome: dict[str, object]) -> None:
    failures = outcome.get("Failures")
    if isinstance(failures, list) and failures:
        first, failed = failures[0], outcome.get("Failed")
        more = f" (and {failed - 1} more)" if isinstance(failed, int) and failed > 1 else ""
        raise SystemFailure(f"{first['Path']}: {first['Error']}{more}")
