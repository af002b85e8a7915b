"""From HostConfig to mounts."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidParameter, NotSupported
from runtime.volumes.mounts import Facts, Resolved, resolve
from runtime.volumes.store import ANONYMOUS_LABEL, VolumeInspect
from runtime.wire.containers import HostConfig, MountPoint

PATHS = {"/src": "dir", "/src/file": "file", "/etc/app.conf": "file"}


def volume(name: str, options: dict[str, str] | None = None) -> VolumeInspect:
    return VolumeInspect(
        Name=name,
        Driver="local",
        Mountpoint=f"/v/{name}/_data",
        Labels={},
        Options=options or {},
        CreatedAt="",
        Scope="local",
    )


VOLUMES = {
    "data": volume("data"),
    "nas": volume("nas", {"type": "nfs", "o": "addr=192.0.2.7,rw", "device": ":/x"}),
    "bound": volume("bound", {"type": "none", "o": "bind", "device": "/srv/x"}),
    "f" * 64: volume("f" * 64),
}


def facts() -> Facts:
    names = iter(["a" * 64, "b" * 64, "c" * 64])
    return Facts(
        volume=VOLUMES.get,
        mountpoint=lambda name: f"/v/{name}/_data",
        path_kind=lambda path: PATHS.get(path, ""),
        new_name=lambda: next(names),
        image_layers=lambda reference: {"two": ["/l/2", "/l/1"], "one": ["/l/1"]}.get(reference, []),
        driver_mount=lambda found: (
            None
            if not found["Options"]
            else {
                "type": "bind" if "bind" in found["Options"]["o"] else found["Options"]["type"],
                "source": found["Options"]["device"],
                "options": found["Options"]["o"].split(","),
            }
        ),
    )


def run(image_volumes: tuple[str, ...] = (), **host: Any) -> Resolved:
    return resolve(HostConfig(**host), image_volumes, facts())


def only(resolved: Resolved) -> dict[str, Any]:
    [mount] = resolved.mounts
    return mount


def test_a_bind_is_recursive_private_and_made_if_missing() -> None:
    resolved = run(Binds=["/src:/app", "/new:/b:ro,rshared"])
    assert resolved.mounts == [
        {"destination": "/app", "x-create": "dir", "type": "bind", "source": "/src", "options": ["rbind", "rprivate"]},
        {
            "destination": "/b",
            "x-create": "dir",
            "type": "bind",
            "source": "/new",
            "options": ["rbind", "ro", "rro", "rshared"],
        },
    ]
    assert resolved.directories == ["/new"]
    assert resolved.root_propagation == "rshared"
    assert resolved.points[0] == MountPoint(
        Type="bind", Source="/src", Destination="/app", Mode="", RW=True, Propagation="rprivate"
    )
    assert (resolved.points[1]["Mode"], resolved.points[1]["RW"]) == ("ro,rshared", False)


def test_a_typed_bind_needs_its_source() -> None:
    mount = {"Type": "bind", "Source": "/x", "Target": "/t"}
    with pytest.raises(InvalidParameter, match="bind source path does not exist: /x"):
        run(Mounts=[mount])
    assert run(Mounts=[mount | {"BindOptions": {"CreateMountpoint": True}}]).directories == ["/x"]


def test_a_bound_file_is_created_as_a_file() -> None:
    assert only(run(Mounts=[{"Type": "bind", "Source": "/etc/app.conf", "Target": "/c"}]))["x-create"] == "file"


def test_bind_options_are_kept() -> None:
    mount = {"Type": "bind", "Source": "/src", "Target": "/t", "ReadOnly": True}
    assert only(run(Mounts=[mount | {"BindOptions": {"NonRecursive": True}}]))["options"] == ["bind", "ro", "rprivate"]
    assert only(run(Mounts=[mount | {"BindOptions": {"ReadOnlyNonRecursive": True, "Propagation": "rslave"}}]))[
        "options"
    ] == ["rbind", "ro", "rslave"]


def test_a_named_volume_is_filled_from_the_image_unless_told_not_to() -> None:
    mount = only(run(Binds=["data:/d"]))
    assert mount == {
        "destination": "/d", "x-create": "dir", "type": "bind", "source": "/v/data/_data", "options": ["rbind"],
        "x-copy-up": True,
    }  # fmt: skip
    assert "x-copy-up" not in only(run(Binds=["data:/d:nocopy"]))
    typed = {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"NoCopy": True}}
    assert "x-copy-up" not in only(run(Mounts=[typed]))


def test_a_volume_that_does_not_exist_is_to_be_made() -> None:
    driver = {
        "DriverConfig": {"Name": "", "Options": {"type": "tmpfs", "o": "size=1m", "device": "tmpfs"}},
        "Labels": {"a": "b"},
    }
    resolved = run(Mounts=[{"Type": "volume", "Source": "fresh", "Target": "/d", "VolumeOptions": driver}])
    assert resolved.create == [
        {
            "Name": "fresh", "Driver": "local", "DriverOpts": {"type": "tmpfs", "o": "size=1m", "device": "tmpfs"},
            "Labels": {"a": "b"},
        }
    ]  # fmt: skip
    assert only(resolved)["type"] == "tmpfs"
    assert resolved.anonymous == []


def test_anonymous_volumes_come_from_binds_mounts_and_the_image() -> None:
    resolved = run(("/c", "/a"), Binds=["/a"], Mounts=[{"Type": "volume", "Target": "/b"}])
    assert resolved.anonymous == ["a" * 64, "b" * 64, "c" * 64]
    assert [(point["Destination"], point["Name"][0]) for point in resolved.points] == [
        ("/a", "a"),
        ("/b", "b"),
        ("/c", "c"),
    ]
    assert all(made["Labels"] == {ANONYMOUS_LABEL: ""} for made in resolved.create)


def test_a_recreated_container_takes_over_anonymous_volumes_that_still_exist() -> None:
    resolved = resolve(
        HostConfig(),
        ["/data", "/other"],
        facts(),
        inherited={"/data": "f" * 64, "/other": "e" * 64, "/unused": "f" * 64},
    )
    assert [point["Name"] for point in resolved.points] == ["f" * 64, "a" * 64]
    assert [made["Name"] for made in resolved.create] == ["a" * 64]
    assert resolved.anonymous == ["f" * 64, "a" * 64]


def test_a_driver_s_mount_replaces_the_directory() -> None:
    assert only(run(Binds=["nas:/n:ro"])) == {
        "destination": "/n", "x-create": "dir", "type": "nfs", "source": ":/x", "options": ["addr=192.0.2.7", "rw", "ro"],
    }  # fmt: skip
    mount = only(run(Binds=["bound:/b"]))
    assert (mount["type"], mount["source"], mount["options"]) == ("bind", "/srv/x", ["rbind"])


def test_a_subpath_is_resolved_by_whoever_mounts() -> None:
    mount = {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"Subpath": "a/b"}}
    found = only(run(Mounts=[mount]))
    assert (found["source"], found["x-subpath"]) == ("/v/data/_data", "a/b")
    assert "x-copy-up" not in found
    for subpath in ("/a", "../x", "a/../../x"):
        with pytest.raises(InvalidParameter, match="relative path within the volume"):
            run(Mounts=[mount | {"VolumeOptions": {"Subpath": subpath}}])


def test_tmpfs_of_the_container_itself_is_left_to_the_spec_but_keeps_its_place() -> None:
    mount = {"Type": "tmpfs", "Target": "/t", "ReadOnly": True, "TmpfsOptions": {"SizeBytes": 1000, "Mode": 0o1770}}
    resolved = run(("/t", "/run"), Tmpfs={"/run": "ro"}, Mounts=[mount])
    assert resolved.mounts == []
    assert [(point["Type"], point["Destination"], point["RW"]) for point in resolved.points] == [("tmpfs", "/t", False)]
    assert resolved.create == []


@pytest.mark.parametrize("options", [{"SizeBytes": -1}, {"Mode": 0o10000}, {"Mode": -1}])
def test_a_tmpfs_out_of_range_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match="out of range"):
        run(Mounts=[{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": options}])


def test_another_container_s_tmpfs_comes_with_safe_options() -> None:
    point: MountPoint = {"Type": "tmpfs", "Source": "", "Destination": "/t", "RW": True}
    for mode, access in (("", []), ("ro", ["ro"])):
        [mount] = resolve(HostConfig(), (), facts(), volumes_from=[([point], mode)]).mounts
        assert (mount["type"], mount["options"]) == ("tmpfs", ["noexec", "nosuid", "nodev", *access, "rprivate"])


def test_parents_are_mounted_before_children() -> None:
    resolved = run(("/a/b/c",), Binds=["data:/a/b/c/d", "/src:/a/b", "/src:/a"])
    assert [mount["destination"] for mount in resolved.mounts] == ["/a", "/a/b", "/a/b/c", "/a/b/c/d"]


@pytest.mark.parametrize(
    "host",
    [
        {"Binds": ["/src:/t", "data:/t/"]},
        {"Binds": ["/src:/t"], "Mounts": [{"Type": "volume", "Source": "data", "Target": "/t/../t"}]},
        {"Mounts": [{"Type": "tmpfs", "Target": "/t"}], "Tmpfs": {"/t": ""}},
    ],
)
def test_one_target_cannot_be_mounted_twice(host: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="duplicate mount point: /t"):
        run(**host)


def test_the_image_s_volumes_give_way() -> None:
    assert run(("/t",), Binds=["/src:/t"]).create == []


def test_volumes_from_others_come_first_and_are_overridden() -> None:
    others: list[MountPoint] = [
        {
            "Type": "volume",
            "Name": "data",
            "Source": "/v/data/_data",
            "Destination": "/d",
            "RW": True,
            "Driver": "local",
        },
        {"Type": "bind", "Source": "/src", "Destination": "/t", "RW": True, "Propagation": "rprivate"},
        {"Type": "bind", "Source": "/src", "Destination": "/u", "RW": True, "Propagation": "rprivate"},
    ]
    resolved = resolve(HostConfig(Binds=["/etc/app.conf:/t"]), ["/d"], facts(), volumes_from=[(others, "ro")])
    assert [(point["Destination"], point["Source"], point["RW"]) for point in resolved.points] == [
        ("/d", "/v/data/_data", False), ("/t", "/etc/app.conf", True), ("/u", "/src", False),
    ]  # fmt: skip
    assert all("x-copy-up" not in mount for mount in resolved.mounts)
    assert others[0]["RW"] is True


def test_an_image_is_mounted_read_only() -> None:
    assert only(run(Mounts=[{"Type": "image", "Source": "one", "Target": "/i"}]))["options"] == [
        "bind",
        "ro",
        "rprivate",
    ]
    two = only(run(Mounts=[{"Type": "image", "Source": "two", "Target": "/i"}]))
    assert (two["type"], two["options"]) == ("overlay", ["ro", "lowerdir=/l/2:/l/1"])
    with pytest.raises(NotSupported):
        run(Mounts=[{"Type": "image", "Source": "two", "Target": "/i", "ImageOptions": {"Subpath": "x"}}])
    with pytest.raises(NotSupported, match="no layers of its own"):
        run(Mounts=[{"Type": "image", "Source": "none", "Target": "/i"}])


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"Binds": ["/src:relative"]}, "mount path must be absolute"),
        ({"Binds": ["/src:/"]}, "destination can't be '/'"),
        ({"Binds": ["/src:/x/.."]}, "destination can't be '/'"),
        ({"Binds": ["/src:/x:bogus"]}, "invalid mode: bogus"),
        ({"Binds": ["/src:/x:ro,rw"]}, "invalid mode: ro,rw"),
        ({"Binds": ["/src:/x:ro:y"]}, "invalid volume specification: '/src:/x:ro:y'"),
        ({"Binds": ["/x:ro"]}, "invalid volume specification: '/x:ro'"),
        ({"Binds": [""]}, "invalid volume specification: ''"),
        ({"Binds": ["./src:/x"]}, "invalid characters for a local volume name"),
        ({"Binds": ["data:/x:rshared"]}, "invalid mode: rshared"),
        ({"Mounts": [{"Type": "npipe", "Target": "/x"}]}, 'mount type unknown: "npipe"'),
        ({"Mounts": [{"Type": "bind", "Target": "/x"}]}, "field Source must not be empty"),
        ({"Mounts": [{"Type": "bind", "Source": "rel", "Target": "/x"}]}, "mount path must be absolute"),
        ({"Mounts": [{"Type": "volume", "Source": "data"}]}, "field Target must not be empty"),
        ({"Mounts": [{"Type": "volume", "Source": "../x", "Target": "/x"}]}, "invalid characters"),
        ({"Tmpfs": {"/": ""}}, "destination can't be '/'"),
        (
            {"Mounts": [{"Type": "bind", "Source": "/src", "Target": "/x", "BindOptions": {"Propagation": "odd"}}]},
            "invalid propagation mode: odd",
        ),
    ],
)
def test_what_is_no_mount_is_refused_in_docker_s_words(host: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        run(**host)
