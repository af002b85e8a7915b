from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.linux import constants as c
from runtime.oci import mountopts


def test_flags_are_sorted_from_data() -> None:
    found = mountopts.parse(["nosuid", "noexec", "size=64k", "mode=1777", "strictatime"])
    assert found.flags == c.MS_NOSUID | c.MS_NOEXEC | c.MS_STRICTATIME
    assert found.data == ["size=64k", "mode=1777"]
    assert found.bind == 0


def test_the_later_of_two_opposites_wins() -> None:
    assert mountopts.parse(["ro", "rw"]).flags == 0
    assert mountopts.parse(["ro", "rw"]).cleared == c.MS_RDONLY
    assert mountopts.parse(["rw", "ro"]).flags == c.MS_RDONLY
    assert mountopts.parse(["rw", "ro"]).cleared == 0


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("rprivate", c.MS_PRIVATE | c.MS_REC),
        ("slave", c.MS_SLAVE),
        ("rshared", c.MS_SHARED | c.MS_REC),
        ("runbindable", c.MS_UNBINDABLE | c.MS_REC),
    ],
)
def test_propagation_is_neither_flag_nor_data(option: str, expected: int) -> None:
    found = mountopts.parse(["rbind", option])
    assert (found.propagation, found.flags, found.data) == (expected, 0, [])
    assert found.bind == c.MS_BIND | c.MS_REC


def test_recursive_attributes_are_kept_apart() -> None:
    found = mountopts.parse(["rbind", "rro", "nosuid"])
    assert (found.rec_flags, found.flags) == (c.MS_RDONLY, c.MS_NOSUID)


def test_an_access_time_mode_replaces_the_one_before() -> None:
    assert mountopts.attributes(c.MS_NOATIME, 0) == (c.MOUNT_ATTR_NOATIME, c.MOUNT_ATTR_ATIME)
    assert mountopts.attributes(c.MS_RELATIME, 0) == (0, c.MOUNT_ATTR_ATIME)
    assert mountopts.attributes(c.MS_RDONLY | c.MS_NODEV, c.MS_NOSUID) == (
        c.MOUNT_ATTR_RDONLY | c.MOUNT_ATTR_NODEV,
        c.MOUNT_ATTR_NOSUID,
    )


def test_an_option_with_a_nul_byte_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        mountopts.parse(["size=1\0,exec"])
