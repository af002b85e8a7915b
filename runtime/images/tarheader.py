"""Headers of tar entries: ustar, with a pax header where a value does not fit."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from runtime.images.tarstream import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES: Final = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
"""The kinds of files that tar knows; a socket is none of them."""


NAME: Final = 100
"""Bytes of a name that a header holds."""
LARGEST_ID: Final = 0o7777777
LARGEST_NUMBER: Final = 0o77777777777
_NO_DEVICE: Final = b"0000000\0" * 2


def header(
    name: bytes, found: os.stat_result, link: bytes, xattrs: dict[str, bytes], *, typeflag: bytes = b""
) -> Iterator[bytes]:
    """The header blocks of an entry, data not included; a second name of a file has typeflag b"1" and the first as `link`."""
    typeflag = typeflag or TYPES[stat.S_IFMT(found.st_mode)]
    size = found.st_size if typeflag == b"0" else 0
    mtime = int(found.st_mtime_ns // 1_000_000_000)
    records: list[tuple[bytes, bytes]] = []
    if len(name) > NAME or not name.isascii():
        records.append((b"path", name))
    if len(link) > NAME or not link.isascii():
        records.append((b"linkpath", link))
    records += [
        (key, str(value).encode())
        for key, value, largest in (
            (b"uid", found.st_uid, LARGEST_ID),
            (b"gid", found.st_gid, LARGEST_ID),
            (b"size", size, LARGEST_NUMBER),
            (b"mtime", mtime, LARGEST_NUMBER),
        )
        if not 0 <= value <= largest
    ]
    records += [(b"SCHILY.xattr." + os.fsencode(key), xattrs[key]) for key in sorted(xattrs)]
    if records:
        data = b"".join(_record(key, value) for key, value in records)
        yield block(b"PaxHeaders/" + os.path.basename(name.rstrip(b"/"))[:80], found, b"x", len(data), mode=0, mtime=0)
        yield data + bytes(-len(data) % BLOCK)
    yield block(name, found, typeflag, size, mode=stat.S_IMODE(found.st_mode), mtime=mtime, link=link)


def block(
    name: bytes, found: os.stat_result, typeflag: bytes, size: int, *, mode: int, mtime: int, link: bytes = b""
) -> bytes:
    """One ustar header; what does not fit its fields stands in a pax header before it."""
    device = typeflag in (b"3", b"4")
    blank = b"".join(
        (
            name[:NAME].ljust(NAME, b"\0"),
            # one format for all of them: this is the busiest line of every layer's digest
            b"%07o\0%07o\0%07o\0%011o\0%011o\0        "
            % (
                mode,
                found.st_uid if found.st_uid <= LARGEST_ID else 0,
                found.st_gid if found.st_gid <= LARGEST_ID else 0,
                size if size <= LARGEST_NUMBER else 0,
                mtime if 0 <= mtime <= LARGEST_NUMBER else 0,
            ),
            typeflag,
            link[:NAME].ljust(NAME, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0%07o\0" % (os.major(found.st_rdev), os.minor(found.st_rdev)) if device else _NO_DEVICE,
            bytes(167),
        )
    )
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest) + len(str(len(rest)))
    # the length counts its own digits
    size = len(rest) + len(str(size))
    return str(size).encode() + rest


def plain_header(name: bytes, size: int, mode: int = 0o644) -> bytes:
    """The header of a regular file of root's, for archives that hold no tree (`size` below 2^63 bytes)."""
    found = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, 0, 0, size, 0, 0, 0))
    plain = block(name, found, b"0", size, mode=mode, mtime=0)
    if size <= LARGEST_NUMBER:
        return plain
    data = _record(b"size", str(size).encode())
    extended = block(b"PaxHeaders/size", found, b"x", len(data), mode=0, mtime=0)
    return extended + data + bytes(-len(data) % BLOCK) + plain
