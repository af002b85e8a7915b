"""What the steps ask the kernel for, in which order; nothing is really mounted."""

from __future__ import annotations

import os
from errno import EPERM
from typing import Any

import pytest

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import constants as c
from runtime.oci import mountopts, mounts, rootmount
from runtime.oci.devices import Devices, parse
from runtime.oci.masks import MaskedPaths, ReadOnlyPaths
from runtime.oci.mounts import Context
from tests.kit.recordingkernel import DIRECTORY, FILE, RecordingKernel


@pytest.fixture
def kernel() -> RecordingKernel:
    return RecordingKernel(tree={"data": DIRECTORY, "dev": DIRECTORY, "proc/kcore": FILE, "sys/firmware": DIRECTORY})


def context(kernel: RecordingKernel, **named: Any) -> Context:
    made = Context(kernel, **named)
    made.root = 1000
    return made


def test_a_bind_is_attached_by_descriptor_and_then_gets_its_flags(kernel: RecordingKernel) -> None:
    mounts.Bind("/srv", "/data", mountopts.parse(["rbind", "ro", "rprivate"])).execute(context(kernel))
    assert kernel.names() == ["open_tree", "try_openat2", "move_mount", "mount_setattr", "mount_setattr"]
    first, second = kernel.arguments("mount_setattr")
    assert first[1:3] == (c.MOUNT_ATTR_RDONLY, 0)
    assert second[2:] == (c.MS_PRIVATE, True)


def test_rw_does_not_lift_the_read_only_flag_of_a_source(kernel: RecordingKernel) -> None:
    mounts.Bind("/srv", "/data", mountopts.parse(["rbind", "rw"])).execute(context(kernel))
    assert kernel.arguments("mount_setattr") == []


def test_a_bind_over_proc_must_be_a_procfs(kernel: RecordingKernel) -> None:
    with pytest.raises(InvalidParameter, match="only a procfs"):
        mounts.Bind("/srv", "/proc", mountopts.parse(["rbind"])).execute(context(kernel))


def test_a_file_system_is_mounted_by_descriptor(kernel: RecordingKernel) -> None:
    options = mountopts.parse(["nosuid", "size=1m"])
    mounts.FileSystem("tmpfs", "tmpfs", "/data", options).execute(context(kernel))
    ((source, target, fstype, flags, data),) = kernel.arguments("mount")
    assert target.startswith("/proc/self/fd/")
    assert (source, fstype, flags, data) == ("tmpfs", "tmpfs", c.MS_NOSUID, "size=1m")


def test_a_mount_error_names_the_destination(kernel: RecordingKernel) -> None:
    kernel.failures["mount"] = EPERM
    with pytest.raises(SyscallError) as caught:
        mounts.FileSystem("tmpfs", "tmpfs", "/data", mountopts.parse([])).execute(context(kernel))
    assert caught.value.message == "mount /data: operation not permitted"


def test_sysfs_without_an_own_network_namespace_is_bound_read_only(kernel: RecordingKernel) -> None:
    kernel.failures["mount"] = EPERM
    kernel.tree["sys"] = DIRECTORY
    mounts.FileSystem("sysfs", "sysfs", "/sys", mountopts.parse(["ro"])).execute(context(kernel, userns=True))
    assert kernel.arguments("mount_setattr")[0][1] == mounts.PSEUDO_ATTRIBUTES | c.MOUNT_ATTR_RDONLY


def test_overlay_paths_are_escaped_and_long_ones_become_descriptors(tmp_path: Any, kernel: RecordingKernel) -> None:
    odd = tmp_path / "a:b,c\\d"
    odd.mkdir()
    rootmount.Overlay([str(odd)], "/up", "/work", str(tmp_path), []).execute(context(kernel))
    assert kernel.arguments("mount")[0][4] == (f"lowerdir={tmp_path}/a\\:b\\,c\\\\d,upperdir=/up,workdir=/work")
    kernel.calls.clear()
    rootmount.Overlay([str(odd)] * 200, "/up", "/work", str(tmp_path), []).execute(context(kernel))
    data = kernel.arguments("mount")[0][4]
    assert data.count("/proc/self/fd/") == 200
    assert len(data) < 4096


def test_an_overlay_without_an_upper_directory_is_read_only(tmp_path: Any, kernel: RecordingKernel) -> None:
    rootmount.Overlay(["/l"], "", "", str(tmp_path), ["metacopy=off"]).execute(context(kernel))
    assert kernel.arguments("mount") == [("overlay", str(tmp_path), "overlay", c.MS_RDONLY, "lowerdir=/l,metacopy=off")]


def test_files_are_masked_by_the_host_null_device_and_directories_by_one_tmpfs(kernel: RecordingKernel) -> None:
    class WithNull(RecordingKernel):
        def open_tree(self, dirfd: int, path: str | bytes, flags: int) -> int:
            self.calls.append(("open_tree", (dirfd, path, flags)))
            return os.open("/dev/null", os.O_PATH)

    machine = WithNull(tree=kernel.tree | {"proc/scsi": DIRECTORY})
    MaskedPaths(["/proc/kcore", "/proc/absent", "/proc/scsi", "/sys/firmware"]).execute(context(machine))
    assert len(machine.arguments("move_mount")) == 3
    assert machine.names().count("fsmount") == 1


def test_a_null_device_that_is_none_is_not_used_as_a_mask(kernel: RecordingKernel) -> None:
    with pytest.raises(Exception, match="is not the null device"):
        MaskedPaths(["/proc/kcore"]).execute(context(kernel))


def test_read_only_paths_that_are_absent_are_skipped(kernel: RecordingKernel) -> None:
    ReadOnlyPaths(["/absent", "/data"]).execute(context(kernel))
    ((_, wanted, *_),) = kernel.arguments("mount_setattr")
    assert wanted == mounts.PSEUDO_ATTRIBUTES | c.MOUNT_ATTR_RDONLY


def test_nodes_are_made_below_the_descriptor_of_dev(kernel: RecordingKernel) -> None:
    Devices(parse([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o660}])).execute(
        context(kernel)
    )
    made = {arguments[1]: arguments[2:] for arguments in kernel.arguments("mknodat")}
    assert made["null"] == (0o020666, os.makedev(1, 3))
    assert made["fuse"] == (0o020660, os.makedev(10, 229))
    assert [arguments[2] for arguments in kernel.arguments("symlinkat")] == ["fd", "stdin", "stdout", "stderr", "ptmx"]


def test_shared_binds_are_opened_before_their_mount_becomes_private(kernel: RecordingKernel) -> None:
    bind = mounts.Bind("/srv", "/data", mountopts.parse(["rbind"]))
    made = context(kernel)
    rootmount.PrivateParent("/", [bind]).execute(made)
    bind.execute(made)
    assert kernel.names()[:2] == ["open_tree", "mount"]
    assert kernel.names().count("open_tree") == 1
