"""Reading tar streams."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter
from runtime.images.tarstream import MAX_HEADER, Entry, TarReader, shown

if TYPE_CHECKING:
    from pathlib import Path


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for member, data in members:
            member.size = len(data) if member.isreg() else member.size
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def info(name: str, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(data))
    found = []
    for entry in reader:
        content = b""
        while chunk := reader.read():
            content += chunk
        found.append((entry, content))
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_kinds_of_entries_are_read_in_every_format(form: int) -> None:
    data = archive(
        (info("dir/", type=tarfile.DIRTYPE, mode=0o1777), b""),
        (info("dir/file", mode=0o4755, uid=12, gid=34, mtime=1234567890), b"content"),
        (info("dir/link", type=tarfile.SYMTYPE, linkname="../x"), b""),
        (info("dir/hard", type=tarfile.LNKTYPE, linkname="dir/file"), b""),
        (info("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("fifo", type=tarfile.FIFOTYPE), b""),
        form=form,
    )
    entries = read(data)
    assert [(entry.kind, entry.name) for entry, _ in entries] == [
        ("dir", b"dir/"), ("file", b"dir/file"), ("symlink", b"dir/link"), ("hardlink", b"dir/hard"), ("char", b"null"),
        ("fifo", b"fifo"),
    ]  # fmt: skip
    file, content = entries[1]
    assert (file.mode, file.uid, file.gid, file.mtime, content) == (0o4755, 12, 34, 1234567890, b"content")
    assert entries[0][0].mode == 0o1777
    assert (entries[4][0].devmajor, entries[4][0].devminor) == (1, 3)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_links_and_large_owners(form: int) -> None:
    name, link = "n/" * 400 + "é", "l" * 3000
    data = archive((info(name, type=tarfile.SYMTYPE, linkname=link, uid=4_000_000_000), b""), form=form)
    [(entry, _)] = read(data)
    assert (entry.name.decode(), entry.link.decode(), entry.uid) == (name, link, 4_000_000_000)


def test_extended_attributes_are_bytes_by_name() -> None:
    member = info("f", pax_headers={"SCHILY.xattr.user.x": "a=b\nc", "SCHILY.xattr.security.capability": "v"})
    [(entry, _)] = read(archive((member, b"")))
    assert entry.xattrs == {b"user.x": b"a=b\nc", b"security.capability": b"v"}


@pytest.mark.parametrize("arguments", [["--format=gnu"], ["--format=posix", "--sparse-version=0.0"],
                                       ["--format=posix", "--sparse-version=0.1"], ["--format=posix"]])  # fmt: skip
def test_sparse_files_of_gnu_tar_keep_their_holes(tmp_path: Path, arguments: list[str]) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        for piece in range(30):
            file.seek(piece * 1_000_000 + 65536)
            file.write(b"%02d" % piece * 2048)
        file.truncate(50_000_000)
    done = subprocess.run(
        ["tar", "-S", *arguments, "-cf", "-", "-C", str(tmp_path), "sparse"], capture_output=True, check=True
    )
    assert len(done.stdout) < 2_000_000
    [(entry, content)] = read(done.stdout)
    assert (entry.name, entry.size) == (b"sparse", 50_000_000)
    whole = bytearray(entry.size)
    at = 0
    for offset, length in entry.sparse or ():
        whole[offset : offset + length] = content[at : at + length]
        at += length
    assert bytes(whole) == sparse.read_bytes()


def test_reading_goes_on_behind_data_that_nobody_read() -> None:
    data = archive((info("a"), b"x" * 100_000), (info("b"), b"y"))
    assert [entry.name for entry in TarReader(io.BytesIO(data))] == [b"a", b"b"]


def test_an_empty_stream_is_an_empty_layer() -> None:
    assert read(b"") == []
    assert read(bytes(1024)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"garbage" * 200,
        archive((info("a"), b"x" * 5000))[:3000],
        archive((info("a"), b"x" * 5000))[:300],
        archive((info("a"), b""))[:100] + b"9" * 8 + archive((info("a"), b""))[108:],
    ],
)
def test_what_is_no_tar_or_ends_early_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="archive: "):
        read(data)


def test_a_header_that_promises_gigabytes_is_not_believed() -> None:
    data = archive((info("a", pax_headers={"comment": "x" * (MAX_HEADER + 1)}), b""))
    with pytest.raises(InvalidParameter, match="extended header of"):
        read(data)


@pytest.mark.parametrize("text", ["4294967295", "-1", "99999999999999999999", "0x0"])
def test_an_owner_that_chown_would_ignore_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="owner"):
        read(archive((info("a", pax_headers={"uid": text}), b"")))


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,10,5,10", "GNU.sparse.size": "100"},
        {"GNU.sparse.map": "0,10", "GNU.sparse.size": "5"},
        {"GNU.sparse.map": "0,10,90", "GNU.sparse.size": "100"},
        {"GNU.sparse.map": "0,99", "GNU.sparse.size": "100"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"},
        {"GNU.sparse.major": "7", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "100"},
    ],
)
def test_a_sparse_map_that_contradicts_itself_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="sparse"):
        read(archive((info("a", pax_headers=headers), b"x" * 20)))


def test_names_are_shown_without_control_characters() -> None:
    assert shown(b"a\x1b[31m\n\xff") == "a\\x1b[31m\\n\\xff"
