"""Bring images in from an archive and out to one: the client reads and writes the files, the engine never sees a path.

So everything that can be opened here works: pipes, `/dev/fd/63` of a shell, files that only the caller may read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.client.attach import FrameStream
    from runtime.client.client import Client


Events = Callable[[dict[str, Any]], None]
"""Is given the worker's events: `loaded` (Id, Tags, Replaced) of each image, `progress`, `warning`."""


class Source:
    """A file, pipe or directory that images come from; a context that closes what was opened."""

    def __init__(self, path: str, name: str, fd: int | None = None) -> None:
        """`path` is absolute, `name` is the user's word for it; with `fd` that is read instead. Raises ComposeError."""
        self.name = name
        self._opened = fd is None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if fd is None else fd
        except OSError as error:
            raise ComposeError(f"open {name}: {(error.strerror or str(error)).lower()}") from error
        found = os.fstat(self._fd)
        self.directory = path if stat.S_ISDIR(found.st_mode) else ""
        self.size = found.st_size if stat.S_ISREG(found.st_mode) else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened:
            os.close(self._fd)

    def send(self, stream: FrameStream, on_event: Events) -> dict[str, Any]:
        """Send it, unless the engine reads the directory; the outcome. Raises ComposeError, the engine's error."""
        from runtime.client import transfer

        if self.directory:
            return transfer.receive(stream, on_event=on_event)
        return transfer.send(stream, self._pieces(transfer.PIECE), on_event)

    def _pieces(self, size: int) -> Iterator[bytes]:
        while True:
            try:
                data = os.read(self._fd, size)
            except OSError as error:
                raise ComposeError(f"read {self.name}: {(error.strerror or str(error)).lower()}") from error
            if not data:
                return
            yield data


def load(client: Client, source: Source, on_event: Events) -> None:
    """Load an archive or an OCI layout directory. Raises ComposeError, the engine's error."""
    stream = client.load_images(name=source.name, size=source.size, directory=source.directory)
    source.send(stream, on_event)


def import_image(
    client: Client, source: Source, reference: str, changes: Sequence[str], message: str, on_event: Events
) -> str:
    """Make an image of a tar of a root file system, or of a directory; its id. Raises ComposeError, the engine's error."""
    stream = client.import_image(
        reference, changes, message=message, name=source.name, size=source.size, directory=source.directory
    )
    return str(source.send(stream, on_event)["Id"])


def save(client: Client, images: Sequence[str], fd: int) -> None:
    """Write an archive of images to a descriptor. Raises the engine's error, BrokenPipeError, ComposeError."""
    from runtime.client import transfer

    transfer.receive(client.save_images(images), lambda data: _write_all(fd, data))


def save_file(client: Client, images: Sequence[str], path: str, name: str) -> None:
    """Write an archive of images to the file `path`, which appears (0600) only when it is complete.

    `name`: the file as the user wrote it. Raises ComposeError, and the engine's error.
    """
    _check_output(path, name)
    with _appearing(path, name) as fd:
        save(client, images, fd)


def _check_output(path: str, name: str) -> None:
    """Docker's rule and words."""
    what = "failed to save image: invalid output path"
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise ComposeError(f'{what}: directory "{os.path.dirname(name) or directory}" does not exist')
    if os.path.isdir(path):
        raise ComposeError(f'{what}: "{name}" is a directory')
    if os.path.exists(path) and not os.path.isfile(path):
        raise ComposeError(f'{what}: "{name}" must be a directory or a regular file; write to standard output instead')


@contextmanager
def _appearing(path: str, name: str) -> Iterator[int]:
    try:
        fd, temporary = tempfile.mkstemp(prefix=".pycompose-save-", dir=os.path.dirname(path))
        try:
            yield fd
            os.close(fd)
            os.rename(temporary, os.path.realpath(path))
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ComposeError(f"failed to save image: {name}: {(error.strerror or str(error)).lower()}") from error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
