"""Decompress what a layer or archive arrives in, by its magic number, with bounded memory.

A few kilobytes may expand to gigabytes: every step asks for no more output than the reader's buffer holds.
"""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 18
_LZMA_MEMORY = 256 << 20
_ZSTD_WINDOW = 1 << 27

_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
LONGEST_MAGIC = max(len(magic) for magic, _ in _MAGICS)


class Readable(Protocol):
    """Anything with read(n) that returns b"" at the end."""

    def read(self, size: int, /) -> bytes: ...


class Counted:
    """A reader that counts; the source may be a pipe, which cannot tell its position."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """read(n) of the source."""
        data = self._source.read(size)
        self.size += len(data)
        return data


def detect(head: bytes) -> str:
    """`gzip`, `zstd`, `xz`, `bzip2`, or empty for plain data, from the first bytes."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), "")


def decompressed(source: Readable) -> tuple[io.BufferedReader, str]:
    """A buffered reader of the plain bytes, and the name of the compression (empty: none was).

    Reading raises InvalidParameter if the compressed data is damaged or ends early.
    """
    head = b""
    while len(head) < LONGEST_MAGIC and (data := source.read(LONGEST_MAGIC - len(head))):
        head += data
    name = detect(head)
    whole = _Prefixed(head, source)
    raw: io.RawIOBase = whole
    if name == "zstd":
        raw = _zstd(whole)
    elif name:
        raw = _Stepwise(whole, _CODECS[name], name)
    return io.BufferedReader(raw, CHUNK), name


def looked_at(stream: io.BufferedReader, size: int) -> tuple[bytes, io.BufferedReader]:
    """The first `size` bytes of a stream (fewer only at its end), and a stream that still has them.

    `peek` gives what one read brought, which may be the few bytes that tell a compression.
    """
    head = stream.read(size)
    return head, io.BufferedReader(_Prefixed(head, stream), CHUNK)


class _Prefixed(io.RawIOBase):
    """The bytes already read for the magic, then the rest."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] if self._head else self._source.read(len(view))
        self._head = self._head[len(data) :] if self._head else b""
        view[: len(data)] = data
        return len(data)


class _Gzip:
    """One member of a gzip stream; `hungry` when it cannot go on without input."""

    def __init__(self) -> None:
        self._z = zlib.decompressobj(31)

    def step(self, data: bytes, room: int) -> bytes:
        return self._z.decompress(self._z.unconsumed_tail + data, room)

    @property
    def hungry(self) -> bool:
        return not self._z.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._z.eof

    @property
    def unused_data(self) -> bytes:
        return self._z.unused_data


class _Standard:
    """bz2 and lzma decompressors share one interface."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._d = make()

    def step(self, data: bytes, room: int) -> bytes:
        result: bytes = self._d.decompress(data, room)
        return result

    @property
    def hungry(self) -> bool:
        return bool(self._d.needs_input)

    @property
    def eof(self) -> bool:
        return bool(self._d.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._d.unused_data)


_CODECS: dict[str, Callable[[], _Gzip | _Standard]] = {
    "gzip": _Gzip,
    "bzip2": lambda: _Standard(bz2.BZ2Decompressor),
    "xz": lambda: _Standard(lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)),
}


class _Stepwise(io.RawIOBase):
    def __init__(self, source: io.RawIOBase, make: Callable[[], _Gzip | _Standard], name: str) -> None:
        self._source = source
        self._make = make
        self._name = name
        self._codec: _Gzip | _Standard = make()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._next(len(view))
        view[: len(data)] = data
        return len(data)

    def _next(self, room: int) -> bytes:
        data = b""
        while True:
            if self._codec.eof:
                data = self._codec.unused_data
                if not data.strip(b"\0"):
                    data = self._source.read(CHUNK) or b""
                # members may follow one another; zeros behind the last one are padding
                if not data.strip(b"\0"):
                    return b""
                self._codec = self._make()
            elif self._codec.hungry:
                data = self._source.read(CHUNK) or b""
                if not data:
                    raise InvalidParameter(f"archive: {self._name} data ends too early")
            else:
                data = b""
            try:
                plain = self._codec.step(data, room)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                raise InvalidParameter(f"archive: damaged {self._name} data: {error}") from error
            if plain:
                return plain


def _zstd(source: Any) -> io.RawIOBase:
    if sys.version_info >= (3, 14):
        from compression import zstd

        return _Guarded(zstd.ZstdFile(source), (zstd.ZstdError, EOFError))
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        source, read_across_frames=True, read_size=CHUNK
    )
    return _Guarded(reader, (zstandard.ZstdError,))


class _Guarded(io.RawIOBase):
    """A zstd reader whose errors are ours."""

    def __init__(self, reader: Any, errors: tuple[type[Exception], ...]) -> None:
        self._reader = reader
        self._errors = errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._reader.readinto(buffer))
        except self._errors as error:
            raise InvalidParameter(f"archive: damaged zstd data: {error}") from error
