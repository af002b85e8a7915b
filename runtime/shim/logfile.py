"""Append records to a rotated log file; a full disk loses records, never the container.

A record is never torn: what a failed write left behind is cut off again.
"""

from __future__ import annotations

import os

from runtime.shim.loop import complain


class LogFile:
    """`path`, then `path.1` (younger) to `path.N-1` (oldest); `max_size` bytes each, 0 for no limit."""

    __slots__ = ("_failing", "_fd", "_max_file", "_max_size", "_path", "_size")

    def __init__(self, path: str, *, max_size: int = 0, max_file: int = 1) -> None:
        """Raises OSError when the file cannot be opened."""
        self._path = path
        self._max_size = max_size
        self._max_file = max(1, max_file)
        self._failing = False
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def write(self, records: bytes) -> None:
        """Append whole records (each ends with a newline), rotating between them."""
        if not self._max_size or self._size + len(records) <= self._max_size:
            self._append(records)
            return
        view = memoryview(records)
        start = 0
        while start < len(records):
            room = self._max_size - self._size
            if len(records) - start <= room:
                end = len(records)
            else:
                end = records.rfind(b"\n", start, start + room) + 1 if room > 0 else 0
                if end <= start and self._size:
                    self._rotate()
                    continue
                # One record above the limit in an empty file: it goes in whole.
                end = end if end > start else records.find(b"\n", start) + 1 or len(records)
            self._append(view[start:end])
            start = end

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, data: bytes | memoryview) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:] if done else data)
        except OSError as error:
            self._report(error)
            try:
                # Not to the size that is counted for rotation: after one that failed, older records lie below.
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - done)
            except OSError:
                pass
            return
        self._failing = False
        self._size += done

    def _rotate(self) -> None:
        try:
            if self._max_file == 1:
                os.ftruncate(self._fd, 0)
                self._size = 0
                return
            for number in range(self._max_file - 1, 1, -1):
                _rename(f"{self._path}.{number - 1}", f"{self._path}.{number}")
            _rename(self._path, f"{self._path}.1")
            fd = self._open()
        except OSError as error:
            # Go on in the old file: a log above its limit is better than none.
            self._report(error)
            self._size = 0
            return
        os.close(self._fd)
        self._fd = fd
        self._size = 0

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)

    def _report(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            complain(f"log {self._path}: {error.strerror}")


def _rename(old: str, new: str) -> None:
    try:
        os.rename(old, new)
    except FileNotFoundError:
        pass
