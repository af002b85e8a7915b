"""Copy files between a service's containers and this machine: who is meant, and what becomes of whose name.

Where things go is decided by what is there already, as with `cp -a`: into a directory that exists, else under the name
given. A path that ends in `/.` means what is in the directory.
"""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING, NamedTuple, Protocol

from compose.errors import ComposeError
from compose.model.record import Record
from compose.reconcile import labels
from compose.usecases import containers, localpack, localunpack
from runtime.client import archive
from runtime.client.output import write_all
from runtime.errors import EngineError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.client.client import Client
    from runtime.wire.containers import ContainerInspect

STREAM = "-"
CHUNK = 256 * 1024
NO_DIRECTORY = "no such directory"
OVER_FILE = "cannot copy directory"
"""Docker's words for a directory that would take a file's place."""


class Direction(NamedTuple):
    """Who of the two is in a container."""

    service: str
    source: str
    destination: str
    is_out: bool


class CopyRequest(Record):
    """Options of `cp`; `direction` as `direction()` gives it, with the local path absolute."""

    direction: Direction
    index: int = 0
    one_offs: bool = False
    archive: bool = False
    follow: bool = False


class Told(Protocol):
    """Hears of each container: its name and what is copied, when it begins (`done` false) and when it is done."""

    def __call__(self, container: str, subject: str, *, done: bool) -> None: ...


def direction(source: str, destination: str) -> Direction:
    """The two arguments understood. Raises ComposeError."""
    service_from, path_from = _split(source)
    service_to, path_to = _split(destination)
    if service_from and service_to:
        raise ComposeError("copying between services is not supported")
    if not service_from and not service_to:
        raise ComposeError("unknown copy direction")
    return Direction(service_from or service_to, path_from, path_to, bool(service_from))


def _split(argument: str) -> tuple[str, str]:
    """Service and path; an absolute path, and one that begins with a dot, is one of this machine."""
    service, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or service.startswith("."):
        return "", argument
    return service, path


class Copy:
    """One `cp`."""

    def __init__(
        self, client: Client, request: CopyRequest, *, stdin: int, stdout: int, warn: Callable[[str], None]
    ) -> None:
        self._client = client
        self._request = request
        self._stdin = stdin
        self._stdout = stdout
        self._warn = warn

    def run(self, project: str, said: tuple[str, str], told: Told) -> None:
        """Copy; `said` are the two paths as the user wrote them. Raises ComposeError, EngineError."""
        wanted = self._request.direction
        for container in self._chosen(project):
            name = containers.name_of(container)
            begin, end = (f"{name}:{said[0]}", said[1]) if wanted.is_out else (said[0], f"{name}:{said[1]}")
            subject = f"copy {begin} to {end}"
            told(name, subject, done=False)
            try:
                self._out(container) if wanted.is_out else self._in(container)
            except NotFound as error:
                if "path" not in error.fields:
                    raise
                raise ComposeError(f"{error.message} in container {name}") from error
            told(name, subject, done=True)

    def _chosen(self, project: str) -> list[ContainerInspect]:
        request, service = self._request, self._request.direction.service
        if request.index > 0:
            return [containers.specified(self._client, project, service, request.index, all=True)]
        found = containers.of_project(self._client, project, [service], all=True, one_offs=request.one_offs)
        if not found:
            raise ComposeError(f'no container found for service "{service}"')
        found.sort(
            key=lambda each: (labels.is_one_off(containers.labels_of(each)), labels.number(containers.labels_of(each)))
        )
        return found[:1] if request.direction.is_out else found

    # --- into a container

    def _in(self, container: ContainerInspect) -> None:
        wanted, identity = self._request.direction, container["Id"]
        target, kind = self._target(identity, wanted.destination)
        if kind in ("device", "other"):
            raise ComposeError(
                f'destination "{containers.name_of(container)}:{wanted.destination}" must be a directory or a regular file'
            )
        if wanted.source == STREAM:
            if kind != "directory":
                shown = f"{containers.name_of(container)}:{wanted.destination}"
                raise ComposeError(f'destination "{shown}" must be a directory')
            self._send(identity, target, self._standard_input())
            return
        source = localpack.source(wanted.source, follow=self._request.follow)
        directory, name = _placed(
            target, exists=bool(kind), is_directory=kind == "directory", source_is_directory=source.is_directory
        )
        self._send(identity, directory, localpack.pieces(source.path, name or source.name))

    def _target(self, identity: str, path: str) -> tuple[str, str]:
        """Where a path of a container leads, its last link followed, and what is there ("" for nothing)."""
        if not path:
            return "/", ""  # what has no name cannot be made
        absolute = path if path.startswith("/") else f"/{path}"
        try:
            found = archive.looked_at(self._client.look_at(identity, absolute, follow=True))
        except EngineError:
            # its parent may be there: what is wrong is said when the copy is made
            return absolute, ""
        return str(found["Path"]), str(found["Kind"])

    def _send(self, identity: str, directory: str, pieces: Iterator[bytes]) -> None:
        stream = self._client.put_files(identity, directory, copy_owner=self._request.archive)
        outcome = archive.send(stream, pieces)
        failures = outcome.get("Failures") or ()
        if failures:
            more = f" (and {outcome['Failed'] - 1} more)" if outcome["Failed"] > 1 else ""
            message = failures[0]["Error"]
            place = "" if failures[0]["Path"] in message else f"{failures[0]['Path']}: "
            raise ComposeError(f"{place}{message}{more}")

    def _standard_input(self) -> Iterator[bytes]:
        while data := os.read(self._stdin, CHUNK):
            yield data

    # --- out of a container

    def _out(self, container: ContainerInspect) -> None:
        wanted, identity = self._request.direction, container["Id"]
        path = wanted.source if wanted.source.startswith("/") or not wanted.source else f"/{wanted.source}"
        called = name = _called(path)
        if self._request.follow and path:
            path = str(archive.looked_at(self._client.look_at(identity, path, follow=True))["Path"])
            called = _called(path)
        if wanted.destination == STREAM:
            self._to_standard_output(archive.receive(self._client.get_files(identity, path)))
            return
        target = _local_target(wanted.destination)
        kind = str(archive.looked_at(self._client.look_at(identity, path))["Kind"]) if path else ""
        directory, given = _placed(
            target,
            exists=os.path.lexists(target.rstrip("/") or "/"),
            is_directory=os.path.isdir(target),
            source_is_directory=kind == "directory",
        )
        stream = self._client.get_files(identity, path)
        new = given or (name if name != called else "")
        localunpack.unpack(archive.receive(stream), directory, called, new, self._warn)

    def _to_standard_output(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            write_all(self._stdout, piece)


def _called(path: str) -> str:
    """What names of the archive of a path begin with."""
    return posixpath.basename(path.rstrip("/")) or "."


def _placed(target: str, *, exists: bool, is_directory: bool, source_is_directory: bool) -> tuple[str, str]:
    """The directory to unpack in, and the new name of what is copied ("" to keep it). Raises ComposeError."""
    if is_directory:
        return target, ""
    if exists and source_is_directory:
        raise ComposeError(OVER_FILE)
    if not source_is_directory and target.endswith(("/", "/.")):
        raise ComposeError(NO_DIRECTORY)
    plain = target.rstrip("/").removesuffix("/.").rstrip("/")
    return posixpath.dirname(plain) or "/", posixpath.basename(plain)


def _local_target(path: str) -> str:
    """Where a local destination leads. Raises ComposeError where its directory is missing, or it is a device."""
    plain = path.rstrip("/") or "/"
    parent = os.path.dirname(plain)
    if not os.path.isdir(parent):
        raise ComposeError(f'invalid output path: directory "{parent}" does not exist')
    try:
        mode = os.stat(plain).st_mode
    except OSError:
        # a link to nothing is followed: what is made, is made there
        return os.path.realpath(plain) if os.path.islink(plain) else path
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise ComposeError(f'invalid output path: "{plain}" must be a directory or a regular file: got a device')
    if stat.S_ISREG(mode) and path.endswith("/"):
        raise ComposeError(NO_DIRECTORY)
    return os.path.realpath(plain) if stat.S_ISREG(mode) else path
