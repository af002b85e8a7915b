"""Mounts and devices of a record become those of the OCI runtime spec."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.oci.spec import SpecFacts
from tests.kit.ocispec import generate, mount_at, refused

# --- mounts ----------------------------------------------------------------------------------------------------------

HOSTS = {"destination": "/etc/hosts", "type": "bind", "source": "/x/hosts", "options": ["rbind", "rprivate"]}


def bind(target: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": "/src", "options": ["rbind", *options]}


def test_outer_mounts_come_before_those_inside_them() -> None:
    made = generate({"Tmpfs": {"/a/b": ""}}, mounts=[bind("/a/b/c"), bind("/a")], files=[HOSTS])
    order = [entry["destination"] for entry in made["mounts"]]
    assert order.index("/a") < order.index("/a/b") < order.index("/a/b/c")
    assert order[:7] == ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]


def test_mount_of_the_user_replaces_ours() -> None:
    made = generate(mounts=[bind("/etc/hosts"), bind("/dev/shm"), bind("/sys/fs/cgroup/")], files=[HOSTS])
    for path in ("/etc/hosts", "/dev/shm", "/sys/fs/cgroup"):
        assert mount_at(made, path)["source"] == "/src"


def test_own_dev_takes_everything_below_it_along() -> None:
    destinations = {entry["destination"] for entry in generate(mounts=[bind("/dev")])["mounts"]}
    assert {path for path in destinations if path.startswith("/dev")} == {"/dev"}


def test_read_only_container() -> None:
    made = generate({"ReadonlyRootfs": True, "Tmpfs": {"/run": ""}}, mounts=[bind("/data")], files=[HOSTS])
    assert made["root"]["readonly"] is True
    assert "ro" in mount_at(made, "/etc/hosts")["options"]
    for path in ("/dev", "/dev/shm", "/dev/mqueue", "/proc", "/data", "/run"):
        assert "ro" not in mount_at(made, path)["options"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"noexec", "nosuid", "nodev"}),
        ("size=64m,mode=1770", {"noexec", "nosuid", "nodev", "size=64m", "mode=1770"}),
        ("exec,suid", {"exec", "suid", "nodev"}),
        ("rw,exec,noexec", {"rw", "noexec", "nosuid", "nodev"}),
        ("size=1m,size=2m", {"noexec", "nosuid", "nodev", "size=2m"}),
        ("uid=7,gid=8,rprivate", {"noexec", "nosuid", "nodev", "uid=7", "gid=8", "rprivate"}),
    ],
)
def test_tmpfs_options(text: str, expected: set[str]) -> None:
    entry = mount_at(generate({"Tmpfs": {"/t": text}}), "/t")
    assert (entry["type"], entry["source"], set(entry["options"])) == ("tmpfs", "tmpfs", expected)


@pytest.mark.parametrize("text", ["nosuch", "nosuch=1", "size", "exec=1"])
def test_unknown_tmpfs_option_is_refused(text: str) -> None:
    assert refused({"Tmpfs": {"/t": text}}).startswith('invalid tmpfs option "')


def test_tmpfs_in_the_long_form() -> None:
    long = {"Type": "tmpfs", "Target": "/t", "ReadOnly": True, "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o700}}
    assert set(mount_at(generate({"Mounts": [long]}), "/t")["options"]) == {
        "noexec",
        "nosuid",
        "nodev",
        "size=4096",
        "mode=700",
        "ro",
    }


@pytest.mark.parametrize(
    ("host", "mounts", "message"),
    [
        ({"Tmpfs": {"t": ""}}, [], "invalid mount path: 't' mount path must be absolute"),
        ({"Tmpfs": {"/": ""}}, [], "invalid specification: destination can't be '/'"),
        ({}, [bind("/a/..")], "invalid specification: destination can't be '/'"),
        ({}, [bind("rel")], "invalid mount path: 'rel' mount path must be absolute"),
        ({}, [bind("/a"), bind("/a/")], "duplicate mount point: /a"),
        ({"Tmpfs": {"/a": "", "/a/": ""}}, [], "duplicate mount point: /a"),
        ({"ShmSize": -1}, [], "SHM size can not be less than 0"),
    ],
)
def test_impossible_mount_is_refused(host: dict[str, Any], mounts: list[dict[str, Any]], message: str) -> None:
    assert refused(host, mounts=mounts) == message


def test_shared_memory() -> None:
    assert "size=1048576" in mount_at(generate({"ShmSize": 1 << 20}), "/dev/shm")["options"]
    assert mount_at(generate({"IpcMode": "host"}), "/dev/shm")["source"] == "/dev/shm"
    none = {entry["destination"] for entry in generate({"IpcMode": "none"})["mounts"]}
    assert "/dev/shm" not in none
    facts = SpecFacts(namespace_paths={"ipc": "/p"}, shm_source="/proc/7/ns/mnt")
    joined = mount_at(generate({"IpcMode": "container:abc"}, facts=facts), "/dev/shm")
    assert (joined["source"], joined["x-mount-namespace"]) == ("/dev/shm", "/proc/7/ns/mnt")


def test_shared_mount_opens_the_root_s_propagation() -> None:
    assert generate(mounts=[bind("/a", "rshared")])["linux"]["rootfsPropagation"] == "shared"


def test_layers_and_cgroup_are_passed_on() -> None:
    layers = {"type": "overlay", "lowerdir": ["/l"], "upperdir": "/u", "workdir": "/w"}
    made = generate({"Annotations": {"a": "b"}}, rootfs=layers, cgroup="pycompose/e/c")
    assert (made["x-rootfs"], made["linux"]["cgroupsPath"]) == (layers, "pycompose/e/c")
    assert made["annotations"] == {"a": "b"}
    assert "x-rootfs" not in generate()


# --- devices ---------------------------------------------------------------------------------------------------------

FUSE = {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}


def mapping(source: str, target: str = "", access: str = "rwm") -> dict[str, str]:
    return {"PathOnHost": source, "PathInContainer": target or source, "CgroupPermissions": access}


def test_device_is_made_and_allowed() -> None:
    made = generate({"Devices": [mapping("/dev/fuse", "/dev/f", "rw")]}, facts=SpecFacts(devices={"/dev/fuse": [FUSE]}))
    assert made["linux"]["devices"] == [{**FUSE, "path": "/dev/f"}]
    assert made["linux"]["resources"]["devices"][-1] == {
        "allow": True,
        "type": "c",
        "major": 10,
        "minor": 229,
        "access": "rw",
    }


def test_directory_of_devices() -> None:
    found = [{**FUSE, "path": "/dev/snd/a"}, {**FUSE, "path": "/dev/snd/sub/b"}]
    made = generate({"Devices": [mapping("/dev/snd", "/dev/x")]}, facts=SpecFacts(devices={"/dev/snd": found}))
    assert [entry["path"] for entry in made["linux"]["devices"]] == ["/dev/x/a", "/dev/x/sub/b"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("c 1:3 rwm", {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}),
        ("b 8:* r", {"allow": True, "type": "b", "major": 8, "access": "r"}),
        ("a *:* rwm", {"allow": True, "type": "a", "access": "rwm"}),
        ("a", {"allow": True, "type": "a", "access": "rwm"}),
    ],
)
def test_device_cgroup_rule(rule: str, expected: dict[str, Any]) -> None:
    assert generate({"DeviceCgroupRules": [rule]})["linux"]["resources"]["devices"][-1] == expected


@pytest.mark.parametrize("rule", ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 rx", "c 1:3 rwm\n", "c -1:3 r"])
def test_broken_device_cgroup_rule_is_refused(rule: str) -> None:
    assert refused({"DeviceCgroupRules": [rule]}) == f"invalid device cgroup rule format: '{rule}'"


def test_device_permissions_are_checked() -> None:
    facts = SpecFacts(devices={"/dev/fuse": [FUSE]})
    assert "invalid permissions 'x'" in refused({"Devices": [mapping("/dev/fuse", access="x")]}, facts=facts)


def test_device_request_finds_no_driver() -> None:
    host = {"DeviceRequests": [{"Driver": "", "Capabilities": [["gpu"]]}]}
    assert refused(host) == 'could not select device driver "" with capabilities: [[gpu]]'
