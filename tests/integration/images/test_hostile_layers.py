"""Layers made to write outside: whatever they say, the sentinel beside the target stays as it is."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import EngineError, InvalidParameter
from runtime.images.unpack import Limits, unpack_layer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def layer(*members: tuple[str, dict[str, Any], bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields, data in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            for key, value in fields.items():
                setattr(member, key, value)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    out.seek(0)
    return out


def file(name: str, data: bytes = b"x", **fields: Any) -> tuple[str, dict[str, Any], bytes]:
    return name, fields, data


def folder(name: str, **fields: Any) -> tuple[str, dict[str, Any], bytes]:
    return name, {"type": tarfile.DIRTYPE, "mode": 0o755, **fields}, b""


def link(name: str, target: str) -> tuple[str, dict[str, Any], bytes]:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


def hard(name: str, target: str) -> tuple[str, dict[str, Any], bytes]:
    return name, {"type": tarfile.LNKTYPE, "linkname": target}, b""


class World:
    """A target directory and, beside it, what must not change."""

    def __init__(self, base: Path) -> None:
        self.target = base / "target"
        self.target.mkdir()
        self.outside = base / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("precious")
        (self.outside / "secret").chmod(0o600)
        self._before = self._picture()

    def unpack(self, *members: tuple[str, dict[str, Any], bytes], **options: Any) -> None:
        unpack_layer(layer(*members), str(self.target), **options)

    def refuse(self, message: str, *members: tuple[str, dict[str, Any], bytes]) -> None:
        with pytest.raises(EngineError, match=message):
            self.unpack(*members)
        self.check()

    def check(self) -> None:
        assert self._picture() == self._before

    def _picture(self) -> list[tuple[Any, ...]]:
        found = []
        for name in ("outside", "outside/secret"):
            status = os.lstat(self.target.parent / name)
            found.append((name, status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns))
        return [*found, sorted(os.listdir(self.target.parent)), sorted(os.listdir(self.outside))]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("name", ["../outside/secret", "a/../../outside/secret", "/../outside/secret", ".."])
def test_a_name_that_climbs_out_is_refused(world: World, name: str) -> None:
    world.refuse("invalid entry name", file(name))


def test_an_absolute_name_lands_inside(world: World) -> None:
    world.unpack(file("/etc/shadow", b"mine"))
    assert (world.target / "etc/shadow").read_bytes() == b"mine"
    world.check()


@pytest.mark.parametrize("target", ["../../outside/secret", "../outside/secret", "/../outside/secret"])
def test_a_hard_link_that_climbs_out_is_refused(world: World, target: str) -> None:
    world.refuse("invalid hard link target", folder("d"), hard("d/x", target))


def test_a_hard_link_to_an_absolute_name_is_looked_up_inside(world: World) -> None:
    world.refuse("is not in the layer", hard("x", str(world.outside / "secret")))
    world.refuse("is not in the layer", hard("x", "/etc/shadow"))


def test_a_hard_link_through_a_symbolic_link_stays_inside(world: World) -> None:
    world.refuse("is not in the layer", link("l", str(world.outside)), hard("x", "l/secret"))


@pytest.mark.parametrize("target", ["ABSOLUTE", "../outside", "../../../../../../../.."])
def test_writing_through_a_symbolic_link_stays_inside(world: World, target: str) -> None:
    target = str(world.outside) if target == "ABSOLUTE" else target
    try:
        world.unpack(link("l", target), file("l/secret", b"evil"), file("l/new", b"evil"))
    except InvalidParameter:
        pass  # the link leads nowhere inside
    world.check()


def test_a_file_replaces_a_symbolic_link_instead_of_writing_through_it(world: World) -> None:
    world.unpack(link("l", str(world.outside / "secret")), file("l", b"mine"))
    assert (world.target / "l").read_bytes() == b"mine"
    assert not (world.target / "l").is_symlink()
    world.check()


def test_a_hard_link_to_a_symbolic_link_is_not_written_through(world: World) -> None:
    world.unpack(link("l", str(world.outside / "secret")), hard("h", "l"), file("h", b"evil"))
    assert (world.target / "h").read_bytes() == b"evil"
    world.check()


def test_modes_owners_and_times_never_go_through_a_link(world: World) -> None:
    world.unpack(
        link("d", str(world.outside)), folder("d", mode=0o777, uid=1, gid=1, mtime=1), link("e", str(world.outside / "secret")),
        hard("f", "e"), ("f", {"type": tarfile.FIFOTYPE, "mode": 0o777, "uid": 1}, b""),
    )  # fmt: skip
    assert stat.S_ISDIR(os.lstat(world.target / "d").st_mode)
    world.check()


def test_a_directory_swapped_for_a_link_between_two_entries_is_noticed(world: World) -> None:
    with pytest.raises(InvalidParameter, match="no directory"):
        world.unpack(folder("a"), file("a/one"), link("a", str(world.outside)), file("a/secret", b"evil"))
    world.check()


@pytest.mark.parametrize("name", [".wh..", ".wh...", ".wh.", "d/.wh.."])
def test_a_whiteout_of_no_name_is_refused(world: World, name: str) -> None:
    world.refuse("invalid whiteout entry|invalid entry name", folder("d"), file(name, b""))


def test_whiteouts_through_links_leave_the_victim_alone(world: World) -> None:
    for marker in (".wh.secret", ".wh..wh..opq"):
        try:
            world.unpack(link("l", str(world.outside)), file(f"l/{marker}", b""))
        except InvalidParameter:
            pass
        world.check()


def test_overlay_s_own_attributes_are_dropped_and_capabilities_kept(world: World) -> None:
    headers = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.metacopy": "", "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.user.kept": "v", "SCHILY.xattr.trusted.x": "v",
    }  # fmt: skip
    world.unpack(folder("d", pax_headers=headers), file("f", pax_headers=headers))
    for name in ("d", "f"):
        assert os.listxattr(world.target / name) == ["user.kept"]
    capability = {"SCHILY.xattr.security.capability": CAPABILITY.decode("latin1")}
    world.unpack(file("ping", mode=0o755, uid=5, pax_headers=capability))
    assert os.getxattr(world.target / "ping", "security.capability") == CAPABILITY


def test_a_malformed_capability_is_an_error(world: World) -> None:
    world.refuse("security.capability", file("f", pax_headers={"SCHILY.xattr.security.capability": "junk"}))


def test_the_later_of_two_entries_counts_whatever_they_are(world: World) -> None:
    world.unpack(
        file("a", b"1"), file("a", b"2"), folder("b"), file("b/deep/er", b"x"), file("b", b"3"), file("c"), folder("c"),
        link("d", "x"), file("d", b"4"), hard("d", "a"), hard("a", "a"),
    )  # fmt: skip
    assert [(world.target / name).read_bytes() for name in "abd"] == [b"2", b"3", b"2"]
    assert (world.target / "c").is_dir()
    assert os.stat(world.target / "a").st_nlink == 2


def test_long_and_strange_names_are_kept(world: World) -> None:
    name = "/".join(["n" * 250] * 10) + "/\x1b[31mé\n"
    world.unpack(file(name, b"x"), file("with\udcffbyte", b"y"))
    assert (world.target / name).read_bytes() == b"x"
    assert os.path.exists(os.fsencode(world.target) + b"/with\xffbyte")


def test_a_name_longer_than_the_kernel_takes_is_an_error(world: World) -> None:
    world.refuse("file name too long", file("n" * 300))
    world.refuse("file name too long", file("/".join(["n" * 200] * 30)))


def test_a_loop_of_links_is_an_error_not_a_hang(world: World) -> None:
    world.refuse("too many levels|no directory", link("a", "b"), link("b", "a"), file("a/x"))


def test_modes_owners_times_and_special_files_are_as_the_layer_says(world: World) -> None:
    world.unpack(
        folder("d", mode=0o2750, uid=10, gid=20, mtime=1000), file("d/f", b"x", mode=0o4711, uid=1, gid=2, mtime=2000),
        ("d/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}, b""),
        ("d/disk", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 9, "mode": 0o660}, b""),
        ("d/fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}, b""),
        ("d/l", {"type": tarfile.SYMTYPE, "linkname": "f", "uid": 3, "gid": 4, "mtime": 3000}, b""),
    )  # fmt: skip

    def picture(name: str) -> tuple[int, int, int, int]:
        status = os.lstat(world.target / name)
        return status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime)

    assert picture("d") == (stat.S_IFDIR | 0o2750, 10, 20, 1000)
    assert picture("d/f") == (stat.S_IFREG | 0o4711, 1, 2, 2000)
    assert picture("d/l") == (stat.S_IFLNK | 0o777, 3, 4, 3000)
    assert os.lstat(world.target / "d/null").st_rdev == os.makedev(1, 3)
    assert stat.S_ISBLK(os.lstat(world.target / "d/disk").st_mode)
    assert stat.S_ISFIFO(os.lstat(world.target / "d/fifo").st_mode)


def test_whiteouts_become_overlay_s_marks(world: World) -> None:
    world.unpack(
        file("a/.wh.gone", b""), folder("b"), file("b/.wh..wh..opq", b""), file("b/kept"), file(".wh.c", b""), folder("c"),
        folder("d"), file("d/own"), file(".wh.d", b""), file(".wh.e", b""), file("e/below"), file(".wh..wh.plnk", b""),
    )  # fmt: skip
    gone = os.lstat(world.target / "a/gone")
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    # a directory beside its own whiteout hides what the layers below have in it
    for name in "bcde":
        assert os.getxattr(world.target / name, "trusted.overlay.opaque") == b"y"
    assert (world.target / "d/own").exists()
    assert (world.target / "e/below").exists()
    assert sorted(os.listdir(world.target)) == ["a", "b", "c", "d", "e"]


def test_a_directory_the_layer_does_not_describe_looks_as_it_does_below(world: World, tmp_path: Path) -> None:
    lower = tmp_path / "outside" / "lower"
    lower.mkdir()
    (lower / "tmp").mkdir()
    (lower / "tmp").chmod(0o1777)
    os.chown(lower / "tmp", 7, 8)
    world.unpack(file("tmp/x"), file("new/y"), lowers=[str(lower)])
    status = os.stat(world.target / "tmp")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1777, 7, 8)
    assert stat.S_IMODE(os.stat(world.target / "new").st_mode) == 0o755


def test_a_bomb_of_zeros_takes_no_disk_and_limits_hold(world: World) -> None:
    world.unpack(file("zeros", bytes(50 << 20)))
    status = os.stat(world.target / "zeros")
    assert (status.st_size, status.st_blocks) == (50 << 20, 0)
    with pytest.raises(InvalidParameter, match="larger than 1000 bytes"):
        world.unpack(file("a", b"x" * 2000), limits=Limits(max_bytes=1000))
    with pytest.raises(InvalidParameter, match="more than 2 entries"):
        world.unpack(file("a"), file("b"), file("c"), limits=Limits(max_entries=2))


def test_descriptors_are_closed_also_after_an_error(world: World) -> None:
    before = os.listdir("/proc/self/fd")
    world.unpack(*[file(f"{name}/{name}/x") for name in map(str, range(200))])
    world.refuse("invalid entry name", file("a/b/c"), file("../x"))
    assert len(os.listdir("/proc/self/fd")) == len(before)
