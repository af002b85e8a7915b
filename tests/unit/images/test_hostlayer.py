"""The built-in image, as far as it can be told without mounting."""

from __future__ import annotations

import pytest

from runtime.images import hostlayer

ROOT = "26 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("mountinfo", "copy"),
    [
        (ROOT, False),
        (ROOT + "27 26 0:5 / /proc rw - proc proc rw\n", False),
        (ROOT + "27 26 254:1 / /usr/local rw - ext4 /dev/vdb rw\n", False),
        (ROOT + "27 26 254:1 / /usr rw - ext4 /dev/vdb rw\n", True),
        ("26 1 0:40 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a\n", True),
        ("1 1 0:2 / / rw - rootfs rootfs rw\n" + ROOT, False),
        ("", True),
    ],
)
def test_a_copy_is_needed_where_the_root_cannot_be_a_layer(mountinfo: str, copy: bool) -> None:
    assert hostlayer.needs_copy(mountinfo) is copy


def test_the_id_is_the_same_each_time_and_the_document_a_copy() -> None:
    first = hostlayer.document()
    first["config"]["Cmd"] = ["changed"]
    assert hostlayer.document()["config"]["Cmd"] == ["/bin/sh"]
    assert hostlayer.image_id() == hostlayer.image_id()
    assert hostlayer.image_id().startswith("sha256:")
    assert hostlayer.document()["config"]["Labels"] == {"io.pycompose.reproducible": "false"}
