"""Read a tar stream entry by entry: ustar, GNU long names and sparse files, pax with extended attributes.

Layers come from strangers. `tarfile` keeps every member, believes header sizes and knows no sparse data in a stream;
here names stay bytes, every header has a bound, and nothing is kept from one entry to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.images.compression import Readable

BLOCK: Final = 512
MAX_HEADER: Final = 1 << 20
"""Bytes of one pax header or long name; real ones hold a path and a few attributes."""
MAX_SEGMENTS: Final = 1 << 16
MAX_GLOBALS: Final = 1000
_COPY: Final = 1 << 18
_MAX_ID: Final = 0xFFFFFFFE

KINDS: Final = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
_META: Final = (b"x", b"X", b"g", b"L", b"K")


def shown(name: bytes) -> str:
    """A name from an archive, fit for a message: control characters and stray bytes escaped, length bounded."""
    text = name[:512].decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class Entry:
    """One member. `size` is that of the file as seen by a reader, `stored` what the archive holds of it."""

    __slots__ = (
        "devmajor", "devminor", "gid", "kind", "link", "mode", "mtime", "name", "size", "sparse", "stored", "uid",
        "xattrs",
    )  # fmt: skip

    def __init__(self, kind: str, name: bytes, mode: int = 0o644) -> None:
        self.kind = kind
        self.name = name
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.stored = 0
        self.mtime = 0
        self.link = b""
        self.devmajor = 0
        self.devminor = 0
        self.xattrs: dict[bytes, bytes] = {}
        self.sparse: list[tuple[int, int]] | None = None
        """(offset, length) of each piece of data, in the order stored."""


class TarReader:
    """Iterate over the entries; between two steps read() gives the stored data of the current one."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0
        self._globals: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Entries in archive order; raises InvalidParameter at the first thing that is not tar."""
        pax: list[tuple[bytes, bytes]] = []
        longname = longlink = b""
        while (header := self._header()) is not None:
            typeflag = header[156:157]
            if typeflag in _META:
                data = self._metadata(header, typeflag)
                if typeflag == b"L":
                    longname = data.split(b"\0", 1)[0]
                elif typeflag == b"K":
                    longlink = data.split(b"\0", 1)[0]
                elif typeflag == b"g":
                    self._globals.update(_pax_records(data))
                    if sum(map(len, self._globals.values())) > MAX_HEADER or len(self._globals) > MAX_GLOBALS:
                        raise InvalidParameter("archive: too many global headers")
                else:
                    pax = _pax_records(data)
                continue
            entry = self._entry(header, typeflag, [*self._globals.items(), *pax], longname, longlink)
            pax, longname, longlink = [], b"", b""
            if entry is not None:
                yield entry
            self._skip()

    def read(self, size: int = _COPY) -> bytes:
        """Up to `size` bytes of the current entry's stored data; empty at its end."""
        if self._left <= 0 or size <= 0:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data:
            raise InvalidParameter("archive: unexpected end of data")
        self._left -= len(data)
        return data

    def drain(self) -> None:
        """Read the stream to its end, so that whoever hashes it has seen every byte."""
        while self._stream.read(_COPY):
            pass

    def _header(self) -> bytes | None:
        header = self._exactly(BLOCK, at_end=True)
        if not header or not header.strip(b"\0"):
            return None
        stored = _number(header[148:156], "checksum")
        blank = header[:148] + b" " * 8 + header[156:]
        if stored != sum(blank) and stored != sum(byte - 256 if byte > 127 else byte for byte in blank):
            raise InvalidParameter("archive: invalid tar header")
        return header

    def _metadata(self, header: bytes, typeflag: bytes) -> bytes:
        size = _number(header[124:136], "size")
        if size > MAX_HEADER:
            raise InvalidParameter(f"archive: extended header of {size} bytes is longer than {MAX_HEADER}")
        data = self._exactly(size)
        self._exactly(-size % BLOCK)
        return data

    def _entry(
        self, header: bytes, typeflag: bytes, pax: list[tuple[bytes, bytes]], longname: bytes, longlink: bytes
    ) -> Entry | None:
        extra = dict(pax)
        name = extra.get(b"path") or longname or _ustar_name(header)
        kind = KINDS.get(typeflag, "")
        if kind == "file" and typeflag != b"S" and name.endswith(b"/"):
            kind = "dir"
        entry = Entry(kind, name, _number(header[100:108], "mode") & 0o7777)
        entry.uid = _identity(extra.get(b"uid"), header[108:116], entry)
        entry.gid = _identity(extra.get(b"gid"), header[116:124], entry)
        size = extra.get(b"size")
        entry.stored = _number(header[124:136], "size") if size is None else _decimal(size, "size")
        mtime = extra.get(b"mtime")
        entry.mtime = _number(header[136:148], "mtime") if mtime is None else _seconds(mtime)
        entry.link = extra.get(b"linkpath") or longlink or header[157:257].split(b"\0", 1)[0]
        if kind in ("char", "block"):
            entry.devmajor = _number(header[329:337], "major")
            entry.devminor = _number(header[337:345], "minor")
        entry.xattrs = {key[len(b"SCHILY.xattr.") :]: value for key, value in pax if key.startswith(b"SCHILY.xattr.")}
        if entry.stored < 0:
            raise InvalidParameter(f'archive: entry "{shown(name)}": negative size')
        # links may carry the size of their target although no data follows
        carries_data = kind in ("file", "")
        self._left = entry.stored if carries_data else 0
        self._padding = -self._left % BLOCK
        if not kind:
            self._skip()
            return None
        entry.size = entry.stored = self._left
        if kind == "file":
            self._sparse(entry, header, typeflag, pax, extra)
        return entry

    def _sparse(
        self, entry: Entry, header: bytes, typeflag: bytes, pax: list[tuple[bytes, bytes]], extra: dict[bytes, bytes]
    ) -> None:
        if typeflag == b"S":
            pieces = self._old_sparse_map(header)
            entry.size = _number(header[483:495], "real size")
        elif b"GNU.sparse.major" in extra:
            if (extra[b"GNU.sparse.major"], extra.get(b"GNU.sparse.minor")) != (b"1", b"0"):
                raise InvalidParameter(f'archive: entry "{shown(entry.name)}": unknown sparse format')
            entry.name = extra.get(b"GNU.sparse.name") or entry.name
            entry.size = _decimal(extra.get(b"GNU.sparse.realsize", b""), "real size")
            pieces = self._inline_sparse_map()
        elif b"GNU.sparse.map" in extra or b"GNU.sparse.numblocks" in extra:
            entry.name = extra.get(b"GNU.sparse.name") or entry.name
            entry.size = _decimal(extra.get(b"GNU.sparse.size", b""), "real size")
            pieces = _pax_sparse_map(pax, extra)
        else:
            return
        entry.stored = self._left
        end = 0
        for offset, length in pieces:
            if offset < end or length < 0:
                raise InvalidParameter(f'archive: entry "{shown(entry.name)}": invalid sparse map')
            end = offset + length
        if end > entry.size or sum(length for _, length in pieces) != entry.stored:
            raise InvalidParameter(f'archive: entry "{shown(entry.name)}": sparse map and size do not agree')
        entry.sparse = pieces

    def _old_sparse_map(self, header: bytes) -> list[tuple[int, int]]:
        pieces = _sparse_structs(header[386:482])
        more = header[482]
        while more:
            block = self._exactly(BLOCK)
            pieces += _sparse_structs(block[:504])
            more = block[504]
            if len(pieces) > MAX_SEGMENTS:
                raise InvalidParameter("archive: sparse map is too long")
        return pieces

    def _inline_sparse_map(self) -> list[tuple[int, int]]:
        numbers: list[int] = []
        wanted, text, used = 1, b"", 0
        while len(numbers) < wanted:
            if self._left < BLOCK:
                raise InvalidParameter("archive: sparse map is cut short")
            text += self._exactly(BLOCK)
            self._left -= BLOCK
            *lines, text = text.split(b"\n")
            for line in lines:
                numbers.append(_decimal(line, "sparse map"))
                if len(numbers) == 1:
                    wanted = 1 + 2 * numbers[0]
                    if numbers[0] > MAX_SEGMENTS:
                        raise InvalidParameter("archive: sparse map is too long")
                if len(numbers) == wanted:
                    break
            used += BLOCK
            if len(text) > 64 and len(numbers) < wanted:
                raise InvalidParameter("archive: invalid sparse map")
        return list(zip(numbers[1::2], numbers[2::2], strict=True))

    def _skip(self) -> None:
        while self.read():
            pass
        self._exactly(self._padding)
        self._left = self._padding = 0

    def _exactly(self, size: int, *, at_end: bool = False) -> bytes:
        data = self._stream.read(size) if size else b""
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                break
            data += more
        if len(data) < size and not (at_end and not data):
            raise InvalidParameter("archive: unexpected end of data")
        return data


def _ustar_name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0]
    # GNU's magic is "ustar  \0" and puts other things where POSIX has the prefix
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _number(field: bytes, what: str) -> int:
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        return value - (1 << 8 * (len(field) - 1)) if field[0] == 0xFF else value
    text = field.split(b"\0", 1)[0].strip()
    if not text:
        return 0
    try:
        # int() would take signs and underscores
        return int(text, 8) if text.isdigit() else _refuse(what, text)
    except ValueError:
        return _refuse(what, text)


def _decimal(text: bytes, what: str) -> int:
    return int(text) if text.isdigit() and len(text) < 20 else _refuse(what, text)


def _seconds(text: bytes) -> int:
    whole = text.partition(b".")[0]
    negative = whole.startswith(b"-")
    value = _decimal(whole.removeprefix(b"-"), "mtime")
    return -value if negative else value


def _identity(text: bytes | None, field: bytes, entry: Entry) -> int:
    value = _number(field, "owner") if text is None else _decimal(text, "owner")
    # -1 means "leave it" to chown: a file would keep the extracting user
    if not 0 <= value <= _MAX_ID:
        raise InvalidParameter(f'archive: entry "{shown(entry.name)}": invalid owner {value}')
    return value


def _refuse(what: str, text: bytes) -> int:
    raise InvalidParameter(f'archive: invalid {what} "{shown(text)}" in a tar header')


def _pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    records = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise InvalidParameter("archive: invalid extended header")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end <= space or end > len(data) or data[end - 1 : end] != b"\n" or not equals or not key:
            raise InvalidParameter("archive: invalid extended header")
        if b"\0" in value and key in (b"path", b"linkpath"):
            raise InvalidParameter("archive: name contains a zero byte")
        records.append((key, value))
        at = end
    return records


def _sparse_structs(data: bytes) -> list[tuple[int, int]]:
    pieces = []
    for at in range(0, len(data) - 23, 24):
        if not data[at]:
            break
        pieces.append((_number(data[at : at + 12], "sparse map"), _number(data[at + 12 : at + 24], "sparse map")))
    return pieces


def _pax_sparse_map(pax: list[tuple[bytes, bytes]], extra: dict[bytes, bytes]) -> list[tuple[int, int]]:
    if b"GNU.sparse.map" in extra:
        numbers = [_decimal(text, "sparse map") for text in extra[b"GNU.sparse.map"].split(b",") if text]
    else:
        numbers = [
            _decimal(value, "sparse map") for key, value in pax if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
        ]
    if len(numbers) % 2 or len(numbers) > 2 * MAX_SEGMENTS:
        raise InvalidParameter("archive: invalid sparse map")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
