from __future__ import annotations

import ctypes
import os
import threading
from errno import ELOOP, ENOENT, EROFS
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import saferesolve
from runtime.linux.syscalls import KERNEL
from tests.kit.recordingkernel import DIRECTORY, RecordingKernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)
    assert os.listdir(tmp_path / "outside") == [], "something was made outside the root"


def test_absolute_links_and_dotdot_end_at_the_root(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/file").write_text("inside")
    (tmp_path / "root/absolute").symlink_to("/file")
    (tmp_path / "root/above").symlink_to("../../../file")
    assert saferesolve.read_text(KERNEL, root, "/absolute") == "inside"
    assert saferesolve.read_text(KERNEL, root, "above") == "inside"
    assert saferesolve.read_text(KERNEL, root, "/../../file") == "inside"


def test_a_link_to_a_host_directory_is_made_inside(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/dev").symlink_to(tmp_path / "outside")
    os.close(saferesolve.make_directory(KERNEL, root, "/dev/shm"))
    assert (tmp_path / "root" / str(tmp_path / "outside").lstrip("/") / "shm").is_dir()


def test_a_dangling_link_leads_to_what_is_made(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/var").mkdir()
    (tmp_path / "root/var/run").symlink_to("/run")
    os.close(saferesolve.make_target(KERNEL, root, "/var/run/app.sock", directory=False))
    assert (tmp_path / "root/run/app.sock").is_file()
    (tmp_path / "root/link").symlink_to("relative/../made")
    os.close(saferesolve.make_target(KERNEL, root, "/link", directory=False))
    assert (tmp_path / "root/made").is_file()


def test_a_loop_of_links_is_an_error(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/a").symlink_to("b")
    (tmp_path / "root/b").symlink_to("a")
    with pytest.raises(SyscallError) as caught:
        saferesolve.make_directory(KERNEL, root, "/a/x")
    assert caught.value.errno == ELOOP


def test_a_target_of_the_wrong_kind_is_refused(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/file").touch()
    (tmp_path / "root/directory").mkdir()
    with pytest.raises(InvalidParameter, match="is a file in the image, the mount needs a directory"):
        saferesolve.make_target(KERNEL, root, "/file", directory=True)
    with pytest.raises(InvalidParameter, match="is a directory"):
        saferesolve.make_target(KERNEL, root, "/directory", directory=False)


def test_missing_paths_are_none_or_an_error(root: int) -> None:
    assert saferesolve.open_if_there(KERNEL, root, "/no/such") is None
    assert saferesolve.read_text(KERNEL, root, "/etc/passwd") == ""
    with pytest.raises(SyscallError) as caught:
        saferesolve.open_in_root(KERNEL, root, "/no/such")
    assert caught.value.errno == ENOENT


def test_magic_links_are_not_followed(root: int, tmp_path: Path) -> None:
    outside = os.open("/", os.O_PATH)
    host = os.open("/", os.O_PATH | os.O_DIRECTORY)
    with pytest.raises(SyscallError) as caught:
        saferesolve.open_in_root(KERNEL, host, f"/proc/self/fd/{outside}/etc")
    assert caught.value.errno == ELOOP
    os.close(outside)
    os.close(host)


@pytest.mark.parametrize("kind", ["fifo", "directory", "huge", "loop"])
def test_a_passwd_file_that_is_no_file_is_an_error(root: int, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "root/passwd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to("passwd")
    else:
        path.touch()
        os.truncate(path, 11 << 20)
    with pytest.raises((InvalidParameter, SyscallError)):
        saferesolve.read_text(KERNEL, root, "/passwd")


def test_a_passwd_file_behind_dev_null_is_empty() -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        assert saferesolve.read_text(KERNEL, root, "/dev/null") == ""
    finally:
        os.close(root)


def test_what_cannot_be_made_below_a_read_only_mount_says_so(root: int) -> None:
    kernel = RecordingKernel({"place": DIRECTORY}, failures={"mkdirat": EROFS})
    with pytest.raises(InvalidParameter, match="mount /place/new: is not there, and what is above it is read-only"):
        saferesolve.make_target(kernel, root, "/place/new", directory=True)


def test_a_directory_that_is_swapped_all_the_time_never_leads_outside(root: int, tmp_path: Path) -> None:
    """CVE-2021-30465: the target is exchanged for a link while it is being resolved."""
    (tmp_path / "root/a").mkdir()
    (tmp_path / "spare").symlink_to(tmp_path / "outside")
    stop = threading.Event()
    exchange = ctypes.CDLL(None).renameat2
    link, directory = os.fsencode(tmp_path / "spare"), os.fsencode(tmp_path / "root/a")

    def swap() -> None:
        while not stop.is_set():
            exchange(-100, link, -100, directory, 2)

    racer = threading.Thread(target=swap)
    racer.start()
    try:
        for number in range(300):
            try:
                os.close(saferesolve.make_directory(KERNEL, root, f"/a/{number % 7}/x"))
            except SyscallError:
                continue
    finally:
        stop.set()
        racer.join()
