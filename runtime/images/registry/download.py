"""Fetch one blob to the content store, verified while it arrives, and let a reader follow close behind.

What has arrived lies in `partial/<hex>`, locked by its downloader: a job that wants the same blob waits and finds it
done, and what a killed job left is gone on with. The reader must not believe what it reads until `wait` has returned.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter, SystemFailure, error_number
from runtime.images import partial
from runtime.images.registry.backoff import Backoff
from runtime.images.registry.transport import Broken, read_some
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.images.content import ContentStore
    from runtime.images.manifest import Descriptor
    from runtime.images.registry.repository import Repository

CHUNK: Final = 1 << 18
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SLOWEST: Final = 1024
"""Bytes within the stall time below which a transfer counts as stalled, also if it drips."""
_PROGRESS: Final = 1 << 20
"""Bytes of one attempt that make up for the failures before it."""


class Download:
    """One blob on its way; `run` in a thread, `wait` and `open` from others."""

    def __init__(
        self,
        content: ContentStore,
        repository: Repository,
        blob: Descriptor,
        *,
        progress: Callable[[str, int, int], None],
        name: str,
    ) -> None:
        """`progress` hears `Downloading` and its like with bytes so far and in all; `name` is for messages."""
        self._content = content
        self._repository = repository
        self._blob = blob
        self._progress = progress
        self._name = name
        self._changed = threading.Condition()
        self._arrived = 0
        self._fd = -1
        self._done = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Fetch the blob unless it is here; never raises, `wait` does."""
        try:
            self._fetch()
        except BaseException as error:  # whatever it is, the thread that waits must hear it
            self._end(error)
        else:
            self._end(None)

    def cancel(self, cause: BaseException) -> None:
        """Make a download that has not begun fail, and one under way end soon, because of `cause`."""
        self._end(SystemFailure(f"{self._name}: given up", errno=error_number(cause)))

    @property
    def finished(self) -> bool:
        """Whether all has arrived, or never will."""
        return self._done

    def wait(self) -> None:
        """Return when the blob lies verified in the store; raises what went wrong."""
        with self._changed:
            while not self._done:
                self._changed.wait()
            if self._error is not None:
                raise self._error

    def open(self) -> Follower:
        """A reader of the blob's bytes, also of those that have not arrived yet."""
        return Follower(self)

    def read_at(self, fd: int, size: int, position: int) -> bytes:
        """Up to `size` bytes of the open file `fd` at `position`, waiting for them; empty at the end."""
        with self._changed:
            while self._arrived <= position and not self._done:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            known = self._blob["size"] if self._done else self._arrived
        return os.pread(fd, min(size, known - position), position) if known > position else b""

    def file(self) -> int:
        """A descriptor of the bytes (the caller's to close), once there are any."""
        with self._changed:
            while self._fd < 0 and not self._done:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            if self._fd >= 0:
                return os.dup(self._fd)
        return os.open(self._content.path(self._blob["digest"]), os.O_RDONLY | os.O_CLOEXEC)

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            if self._done:
                return
            self._done, self._error = True, error
            self._changed.notify_all()

    def _fetch(self) -> None:
        digest = self._blob["digest"]
        if self._content.has(digest):
            return
        path = f"{partial.directory(self._content.root)}/{digest.replace(':', '-')}"
        fd = partial.locked(path, lambda: self._progress("Waiting", 0, 0))
        try:
            if self._content.has(digest):
                os.unlink(path)
                return
            self._fill(fd)
            os.fsync(fd)
            os.rename(path, self._content.path(digest))
            atomicfile.sync_directory(os.path.dirname(self._content.path(digest)))
        except InvalidParameter:
            os.unlink(path)  # not what was promised: nothing to go on with
            raise
        except (SystemFailure, OSError) as error:
            if error_number(error) in FULL:
                os.unlink(path)  # nobody goes on before there is room, and this takes some
            raise
        finally:
            with self._changed:
                self._fd = -1
            os.close(fd)

    def _fill(self, fd: int) -> None:
        """Bring the file to the blob's size and digest; raises InvalidParameter, Broken, or the registry's refusal."""
        size, digest = self._blob["size"], self._blob["digest"]
        hashing = hashlib.sha256()
        offset = _rehash(fd, hashing, size)
        if offset:
            # unseen until it is verified: what lay here may be damaged, and is then fetched anew
            self._append(fd, hashing, offset, visible=False)
            if f"sha256:{hashing.hexdigest()}" == digest:
                return
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            hashing = hashlib.sha256()
        self._append(fd, hashing, 0, visible=True)
        self._progress("Verifying Checksum", size, size)
        actual = f"sha256:{hashing.hexdigest()}"
        if actual != digest:
            raise InvalidParameter(f"{self._name}: verification failed, the data is {actual}", digest=digest)
        self._progress("Download complete", size, size)

    def _append(self, fd: int, hashing: hashlib._Hash, offset: int, *, visible: bool) -> None:
        """Fetch what is missing from `offset` on; followers see it at once if `visible`."""
        size = self._blob["size"]
        if visible:
            self._publish(fd, offset)
        backoff = Backoff(tell=lambda pause: self._progress(f"Retrying in {_seconds(pause)}", offset, size))
        while offset < size:
            before = offset
            try:
                for data in self._pieces(offset, backoff):
                    atomicfile.write_all(fd, data)
                    hashing.update(data)
                    offset += len(data)
                    if visible:
                        self._publish(fd, offset)
                    self._progress("Downloading", offset, size)
                    if self._error is not None:
                        raise self._error
                broken = Broken(f"{self._name}: size is {offset} bytes, not {size}")
            except Broken as error:
                broken = error
            if offset - before > _PROGRESS:
                backoff.progressed()
            if offset < size and not backoff.again():
                raise broken

    def _pieces(self, offset: int, backoff: Backoff) -> Iterator[bytes]:
        """The bytes from `offset` on as they arrive; raises InvalidParameter for more than the blob's size."""
        size = self._blob["size"]
        response, position = self._repository.open_blob(self._blob, offset, backoff)
        try:
            length = response.headers.get("content-length", "")
            if length.isdigit() and position + int(length) != size:
                raise InvalidParameter(f"{self._name}: size is {position + int(length)} bytes, not {size}")
            window, counted = time.monotonic(), 0
            stall = self._repository.session.transport.stall
            while data := read_some(response, CHUNK, self._name):
                now = time.monotonic()
                counted += len(data)
                if now - window > stall:
                    if counted < _SLOWEST:
                        raise Broken(f"{self._name}: {counted} bytes in {now - window:.0f} seconds: stalled")
                    window, counted = now, 0
                position += len(data)
                if position > size:
                    raise InvalidParameter(f"{self._name}: size is more than {size} bytes")
                if position > offset:
                    fresh = data[max(len(data) - (position - offset), 0) :]
                    offset = position
                    yield fresh
        finally:
            if position == size:
                response.release_conn()
            else:
                response.close()

    def _publish(self, fd: int, arrived: int) -> None:
        with self._changed:
            self._fd, self._arrived = fd, arrived
            self._changed.notify_all()


class Follower:
    """read(n) over a blob that is still arriving."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._fd = -1
        self.position = 0
        """Bytes read so far."""

    def read(self, size: int = -1, /) -> bytes:
        """Some of the next `size` bytes; raises what the download ended with."""
        if self._fd < 0:
            self._fd = self._download.file()
        data = self._download.read_at(self._fd, size if size >= 0 else CHUNK, self.position)
        self.position += len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _rehash(fd: int, hashing: hashlib._Hash, size: int) -> int:
    """Digest what an earlier job left; where to go on. More than the blob can be is thrown away."""
    found = os.fstat(fd).st_size
    if found > size:
        os.ftruncate(fd, 0)
    position = 0
    while data := os.pread(fd, CHUNK, position):
        hashing.update(data)
        position += len(data)
    os.lseek(fd, position, os.SEEK_SET)
    return position


def _seconds(pause: float) -> str:
    count = max(round(pause), 1)
    return f"{count} second{'s' * (count != 1)}"
