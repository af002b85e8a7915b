"""Decompression with bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource

import pytest
import zstandard

from runtime.errors import InvalidParameter
from runtime.images.compression import decompressed, detect

DATA = b"".join(b"%d " % number for number in range(200_000))
PACKERS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "": bytes,
}


class Trickle:
    """A source that gives a few bytes at a time, as sockets do."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(min(size, self._step) if size >= 0 else self._step)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("step", [1000, 1 << 20])
def test_every_compression_is_found_and_undone(name: str, step: int) -> None:
    packed = PACKERS[name](DATA)
    stream, found = decompressed(Trickle(packed, step))
    assert (found, stream.read()) == (name, DATA)
    assert detect(packed) == name


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_several_members_are_one_stream(name: str) -> None:
    stream, _ = decompressed(io.BytesIO(PACKERS[name](b"one") + PACKERS[name](b"two")))
    assert stream.read() == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_is_reported(name: str, damage: str) -> None:
    packed = bytearray(PACKERS[name](DATA))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 0xFF
    stream, _ = decompressed(io.BytesIO(packed))
    with pytest.raises(InvalidParameter, match=name):
        stream.read()


def test_zeros_behind_a_member_are_padding() -> None:
    stream, _ = decompressed(io.BytesIO(gzip.compress(b"one") + bytes(512)))
    assert stream.read() == b"one"


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2", "zstd"])
def test_a_bomb_is_read_in_pieces(name: str) -> None:
    packed = PACKERS[name](bytes(64 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream, _ = decompressed(io.BytesIO(packed))
    size = 0
    while data := stream.read(1 << 16):
        size += len(data)
    assert size == 64 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10
