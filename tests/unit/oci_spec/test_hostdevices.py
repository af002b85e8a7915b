"""Device nodes of this machine as entries for the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter
from runtime.oci import hostdevices

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.wire.containers import DeviceMapping


def mapping(path: str) -> DeviceMapping:
    return {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}


def test_node_is_found_with_its_numbers() -> None:
    (entry,) = hostdevices.gather({"Devices": [mapping("/dev/null")]})["/dev/null"]
    assert (entry["path"], entry["type"], entry["major"], entry["minor"]) == ("/dev/null", "c", 1, 3)


def test_nothing_is_looked_at_without_need() -> None:
    assert hostdevices.gather({}) == {}
    assert hostdevices.block_numbers({}) == {}


def test_privileged_container_gets_the_nodes_of_dev_but_not_its_terminals() -> None:
    paths = {entry["path"] for entry in hostdevices.gather({"Privileged": True})["/dev"]}
    assert {"/dev/null", "/dev/zero"} <= paths
    assert not [path for path in paths if path.startswith(("/dev/pts/", "/dev/shm/")) or path == "/dev/console"]


def test_absent_device_is_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        hostdevices.gather({"Devices": [mapping("/dev/nosuch")]})
    assert caught.value.message == "device /dev/nosuch: no such file or directory"


def test_what_is_no_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InvalidParameter, match="not a device node"):
            hostdevices.gather({"Devices": [mapping(str(path))]})


def test_block_limit_on_something_else_finds_no_number(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    limits = [{"Path": "/dev/null", "Rate": 1}, {"Path": str(tmp_path / "file"), "Rate": 1}, {"Path": "/x", "Rate": 1}]
    assert hostdevices.block_numbers({"BlkioDeviceReadBps": limits}) == {}
