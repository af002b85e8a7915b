"""Read the json-file logs of a container directly, rotated files included.

The newest file is `NAME`, older ones `NAME.1`, `NAME.2`, ...; rotation renames, so an open descriptor goes on naming
its records, and files are told apart by inode. The last line of the newest file may be incomplete while it is written:
only complete lines are ever returned.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from runtime.client.logrecords import time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 1 << 20
TAIL_BLOCK = 1 << 16
FOLLOW_BLOCKS = 4


def read(path: str, *, tail: int | None = None, since: str = "", until: str = "") -> Iterator[bytes]:
    """Blocks of complete lines, oldest first. `since` and `until` are RFC 3339 without Z; no log is no blocks."""
    files = _open_all(path)
    try:
        for file in _seek_start(files, tail, since):
            yield from _blocks(file, _offset_after(file, until) if until else None)
    finally:
        for file in files:
            file.close()


class Follower:
    """The lines of one container as they are written, across rotation and restarts of the container.

    `read` never waits: it returns what is there. The log need not exist yet.
    """

    def __init__(self, path: str, *, tail: int | None = None, since: str = "") -> None:
        self._path = path
        self._rest = b""
        files = _open_all(path)
        waiting = _seek_start(files, tail, since)
        for file in files:
            if file not in waiting:
                file.close()
        self._waiting = waiting

    def read(self) -> bytes:
        """New complete lines, at most a few MiB; empty if there are none now."""
        pieces: list[bytes] = []
        for _ in range(FOLLOW_BLOCKS):
            piece = self._piece()
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the files."""
        for file in self._waiting:
            file.close()
        self._waiting = []

    def _piece(self) -> bytes:
        while True:
            if not self._waiting:
                self._waiting = _open_newer(self._path, None)
                if not self._waiting:
                    return b""
            file = self._waiting[0]
            data = file.read(BLOCK)
            if data:
                return self._complete(data)
            if len(self._waiting) == 1:
                newer = _open_newer(self._path, file)
                if not newer:
                    return b""
                self._waiting += newer
            # rotated away: what was written between our last read and the renaming is read before going on
            data = file.read(BLOCK)
            if data:
                return self._complete(data)
            self._waiting.pop(0).close()
            self._rest = b""

    def _complete(self, data: bytes) -> bytes:
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return b""
        whole, self._rest = self._rest + data[:end], data[end:]
        return whole


def merge(sources: list[Iterator[bytes]]) -> Iterator[tuple[int, bytes]]:
    """Blocks of several logs in the order of their records' times, as (index of the source, lines)."""
    cursors = [cursor for cursor in (_Cursor(index, source) for index, source in enumerate(sources)) if cursor.fill()]
    while len(cursors) > 1:
        cursors.sort(key=lambda cursor: (cursor.time, cursor.index))
        first, limit = cursors[0], cursors[1]
        yield first.index, first.take_until(limit.time, inclusive=first.index < limit.index)
        if not first.fill():
            cursors.pop(0)
    for cursor in cursors:
        yield cursor.index, cursor.take_rest()
        for block in cursor.source:
            yield cursor.index, block


class _Cursor:
    """The position of a merge in one log: the lines of the current block and how many of them were taken."""

    __slots__ = ("_lines", "_next", "index", "source", "time")

    def __init__(self, index: int, source: Iterator[bytes]) -> None:
        self.index = index
        self.source = source
        self.time = ""
        self._lines: list[bytes] = []
        self._next = 0

    def fill(self) -> bool:
        """Make sure that a line is there and set its time; false at the end of the log."""
        if self._next >= len(self._lines):
            block = next(self.source, None)
            if block is None:
                return False
            self._lines = block.splitlines(keepends=True)
            self._next = 0
        self.time = time_of(self._lines[self._next])
        return True

    def take_until(self, limit: str, *, inclusive: bool) -> bytes:
        """The lines before `limit` (at least one), found by galloping: runs are long or a single line."""
        lines, start = self._lines, self._next
        good, step = start + 1, 1
        while good < len(lines) and _before(lines[min(good + step, len(lines)) - 1], limit, inclusive):
            good = min(good + step, len(lines))
            step *= 2
        low, high = good, min(good + step, len(lines))
        while low < high:
            middle = (low + high) // 2
            if _before(lines[middle], limit, inclusive):
                low = middle + 1
            else:
                high = middle
        self._next = low
        return b"".join(lines[start:low])

    def take_rest(self) -> bytes:
        """All lines of the current block that are left."""
        rest = b"".join(self._lines[self._next :])
        self._next = len(self._lines)
        return rest


def _before(line: bytes, limit: str, inclusive: bool) -> bool:
    time = time_of(line)
    return time < limit or (inclusive and time == limit)


def _open_all(path: str) -> list[BinaryIO]:
    """All files of a log, oldest first. The newest is opened first: a rotation meanwhile only shows it twice."""
    files: list[BinaryIO] = []
    seen: set[int] = set()
    number = 0
    while True:
        try:
            file = open(f"{path}.{number}" if number else path, "rb", buffering=0)  # noqa: SIM115 - closed by the caller
        except FileNotFoundError:
            if number:
                return files[::-1]
            number += 1
            continue
        inode = os.fstat(file.fileno()).st_ino
        if inode in seen:
            file.close()
        else:
            seen.add(inode)
            files.append(file)
        number += 1


def _open_newer(path: str, than: BinaryIO | None) -> list[BinaryIO]:
    """The files newer than an open one, oldest first; all of them if it is None or was deleted meanwhile."""
    if than is not None:
        known = os.fstat(than.fileno()).st_ino
        try:
            if os.stat(path).st_ino == known:
                return []
        except FileNotFoundError:
            return []  # removed, or in the middle of a rotation
    files = _open_all(path)
    if than is None:
        return files
    inodes = [os.fstat(file.fileno()).st_ino for file in files]
    start = inodes.index(known) + 1 if known in inodes else 0
    for file in files[:start]:
        file.close()
    return files[start:]


def _seek_start(files: list[BinaryIO], tail: int | None, since: str) -> list[BinaryIO]:
    """Position the files where reading starts; those that are to be read, oldest first."""
    wanted = list(files)
    if since:
        for file in files:
            file.seek(_offset_after(file, since, inclusive=False))
    if tail is None:
        return wanted
    missing = tail
    for position in range(len(files) - 1, -1, -1):
        file = files[position]
        lower = file.tell()
        start, missing = _tail_offset(file, lower, missing)
        file.seek(start)
        if not missing:
            return wanted[position:]
    return wanted


def _tail_offset(file: BinaryIO, lower: int, lines: int) -> tuple[int, int]:
    """Where the last `lines` complete lines behind `lower` begin, and how many are still missing."""
    end = _complete_end(file, lower)
    if not lines:
        return end, 0
    position = end
    wanted = lines + 1  # the newline that ends the line before the first one wanted
    while position > lower:
        size = min(TAIL_BLOCK, position - lower)
        position -= size
        block = os.pread(file.fileno(), size, position)
        found = block.count(b"\n")
        if found < wanted:
            wanted -= found
            continue
        at = len(block)
        for _ in range(wanted):
            at = block.rfind(b"\n", 0, at)
        return position + at + 1, 0
    return lower, wanted - 1


def _complete_end(file: BinaryIO, lower: int) -> int:
    """The end of the last complete line."""
    position = os.fstat(file.fileno()).st_size
    while position > lower:
        size = min(TAIL_BLOCK, position - lower)
        at = os.pread(file.fileno(), size, position - size).rfind(b"\n")
        if at >= 0:
            return position - size + at + 1
        position -= size
    return lower


def _blocks(file: BinaryIO, end: int | None) -> Iterator[bytes]:
    rest = b""
    position = file.tell()
    while end is None or position < end:
        data = file.read(BLOCK if end is None else min(BLOCK, end - position))
        if not data:
            return
        position += len(data)
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest += data
            continue
        yield rest + data[:cut]
        rest = data[cut:]


def _offset_after(file: BinaryIO, time: str, *, inclusive: bool = True) -> int:
    """Where the first line begins that is later than `time` (or not earlier, if not `inclusive`), by bisection."""
    is_before: Callable[[str], bool] = (lambda other: other <= time) if inclusive else (lambda other: other < time)
    low, high = 0, _complete_end(file, 0)
    while low < high:
        middle = (low + high) // 2
        start = _line_start(file, middle)
        line = _line_at(file, start)
        if is_before(time_of(line)):
            low = start + len(line)
        else:
            high = start
    return low


def _line_start(file: BinaryIO, offset: int) -> int:
    position = offset
    while position > 0:
        size = min(TAIL_BLOCK, position)
        at = os.pread(file.fileno(), size, position - size).rfind(b"\n")
        if at >= 0:
            return position - size + at + 1
        position -= size
    return 0


def _line_at(file: BinaryIO, offset: int) -> bytes:
    line = b""
    while True:
        data = os.pread(file.fileno(), TAIL_BLOCK, offset + len(line))
        end = data.find(b"\n")
        if end >= 0:
            return line + data[: end + 1]
        if not data:
            return line
        line += data
