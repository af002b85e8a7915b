"""Which namespaces are made, joined and come back from; and id maps."""

from __future__ import annotations

import os
from errno import EPERM
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import InvalidParameter, NotFound, SyscallError
from runtime.linux import constants as c
from runtime.oci import idmap, namespaces
from tests.kit.recordingkernel import RecordingKernel

if TYPE_CHECKING:
    from pathlib import Path


def parsed(*entries: dict[str, Any]) -> namespaces.Namespaces:
    return namespaces.parse({"namespaces": [{"type": "mount"}, *entries]})


def test_a_namespace_is_made_or_joined_and_the_users_first() -> None:
    made = parsed({"type": "network", "path": "/n"}, {"type": "pid"}, {"type": "user", "path": "/u"})
    assert made.create == c.CLONE_NEWNS | c.CLONE_NEWPID
    assert made.join == [(c.CLONE_NEWUSER, "/u"), (c.CLONE_NEWNET, "/n")]
    assert made.own == c.CLONE_NEWNS | c.CLONE_NEWPID | c.CLONE_NEWUSER | c.CLONE_NEWNET
    assert list(namespaces.names(made.own)) == ["user", "mount", "network", "pid"]


def test_one_that_is_not_there_is_named_and_the_others_are_closed() -> None:
    before = os.listdir("/proc/self/fd")
    wanted = parsed({"type": "network", "path": "/proc/self/ns/net"}, {"type": "ipc", "path": "/no/such"})
    with pytest.raises(NotFound, match="namespace ipc: /no/such: no such file or directory"):
        namespaces.open_joined(wanted)
    assert os.listdir("/proc/self/fd") == before


def test_the_caller_comes_back_from_every_namespace_it_visits() -> None:
    kernel = RecordingKernel()
    there = [(c.CLONE_NEWUSER, 100), (c.CLONE_NEWPID, 101)]
    with namespaces.visiting(kernel, there):
        assert kernel.arguments("setns") == [(100, c.CLONE_NEWUSER), (101, c.CLONE_NEWPID)]
    assert [flag for _, flag in kernel.arguments("setns")[2:]] == [c.CLONE_NEWPID, c.CLONE_NEWUSER]


def test_the_caller_is_not_left_between_two_namespaces() -> None:
    class Refusing(RecordingKernel):
        def setns(self, fd: int, nstype: int) -> None:
            if fd == 101:
                raise SyscallError("setns", EPERM)
            self.calls.append(("setns", (fd, nstype)))

    kernel = Refusing()
    with pytest.raises(SyscallError), namespaces.visiting(kernel, [(c.CLONE_NEWUSER, 100), (c.CLONE_NEWPID, 101)]):
        pytest.fail("not all were entered")
    flags = [flag for _, flag in kernel.arguments("setns")]
    assert flags == [c.CLONE_NEWUSER, c.CLONE_NEWPID, c.CLONE_NEWUSER]


def mapping(inside: int, outside: int, size: int) -> dict[str, int]:
    return {"containerID": inside, "hostID": outside, "size": size}


def test_id_maps_are_read_and_absent_ones_are_empty() -> None:
    assert idmap.parse([mapping(0, 1000, 1), mapping(1, 100_000, 65_536)], "uidMappings") == [
        (0, 1000, 1),
        (1, 100_000, 65_536),
    ]
    assert idmap.parse(None, "uidMappings") == []


@pytest.mark.parametrize(
    "entry",
    [mapping(-1, 0, 1), mapping(0, -1, 1), mapping(0, 0, 0), mapping(0, 2**32 - 1, 2), mapping(2**32, 0, 1), {}],
)
def test_id_maps_out_of_range_are_refused(entry: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match="uidMappings: id mapping .* is out of range"):
        idmap.parse([entry], "uidMappings")


def test_more_lines_than_the_kernel_takes_are_refused() -> None:
    """CVE-2021-43784."""
    lines = [mapping(number, number, 1) for number in range(341)]
    assert len(idmap.parse(lines[:340], "x")) == 340
    with pytest.raises(InvalidParameter, match="x: 341 id mappings, the kernel takes 340"):
        idmap.parse(lines, "x")


def test_a_map_that_the_kernel_refuses_is_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root it is newuidmap that refuses")
    with pytest.raises(Exception, match=f"uid_map of process {os.getpid()}: operation not permitted"):
        idmap.write(os.getpid(), [(0, 0, 1)], [(0, 0, 1)])
