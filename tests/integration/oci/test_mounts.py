"""Volumes, tmpfs, overlays, propagation, copied content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.oci.capabilities import sets
from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from tests.kit.ocibundle import Bundle

pytestmark = pytest.mark.root

SHARED_HOST = ("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --make-rshared / && exec "$@"', "sh")
"""A mount namespace whose root is shared, as systemd makes it, so that this machine's own mounts are out of danger."""


def mounted(spec: dict[str, Any], *entries: dict[str, Any]) -> dict[str, Any]:
    spec["mounts"] += entries
    return spec


def bind(source: Path, destination: str, *options: str, **more: Any) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", *options], **more}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


def test_a_bind_is_written_through_unless_read_only(bundle: Bundle, volume: Path) -> None:
    spec = mounted(shell("touch /a/made; touch /b/not; :"), bind(volume, "/a"), bind(volume, "/b", "ro"))
    answer = bundle.run(spec)
    assert os.listdir(volume) == ["made"]
    assert "Read-only" in answer["stderr"]


def test_a_file_is_bound_on_a_file_made_for_it(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("1.2.3.4 box\n")
    assert bundle.output(mounted(shell("cat /new/hosts"), bind(tmp_path / "hosts", "/new/hosts"))) == "1.2.3.4 box\n"
    assert (bundle.rootfs / "new/hosts").read_text() == ""


def test_a_missing_source_is_named(bundle: Bundle) -> None:
    error = bundle.run(mounted(shell("true"), bind(Path("/no/such"), "/x")))["error"]
    assert error["message"] == "bind /no/such on /x: no such file or directory"


def test_a_file_over_a_directory_is_said_so(bundle: Bundle) -> None:
    error = bundle.run(mounted(shell("true"), bind(Path("/usr/bin/env"), "/etc")))["error"]
    assert "is a directory in the image, the source is a file" in error["message"]


def test_a_subpath_is_resolved_inside_its_volume(bundle: Bundle, volume: Path, tmp_path: Path) -> None:
    (volume / "sub").mkdir()
    (volume / "sub/mark").touch()
    (volume / "out").symlink_to(tmp_path)
    assert bundle.output(mounted(shell("ls /x"), bind(volume, "/x", **{"x-subpath": "sub"}))) == "mark\n"
    assert "error" in bundle.run(mounted(shell("ls /x"), bind(volume, "/x", **{"x-subpath": "out/volume"})))


def test_flags_and_recursive_flags_reach_the_mounts(bundle: Bundle, volume: Path) -> None:
    spec = mounted(
        shell("grep -E ' /(a|b|t) ' /proc/self/mountinfo"),
        bind(volume, "/a", "nosuid", "noexec", "noatime"),
        bind(volume, "/b", "rro"),
        {"destination": "/t", "type": "tmpfs", "source": "x", "options": ["ro", "noexec", "size=64k", "mode=1700"]},
    )
    first, second, third = (line.split() for line in bundle.output(spec).splitlines())
    assert set(first[5].split(",")) == {"rw", "nosuid", "noexec", "noatime"}
    assert "ro" in second[5].split(",")
    assert {"ro", "noexec"} <= set(third[5].split(","))
    assert "size=64k,mode=1700" in third[-1]


def test_before_linux_5_12_the_mounts_are_the_same(bundle: Bundle, volume: Path) -> None:
    spec = mounted(
        shell("sed 's/^[0-9]* [0-9]* [0-9:]*//; s/master:[0-9]*//' /proc/self/mountinfo"),
        bind(volume, "/a", "nosuid", "noexec", "noatime", "ro", "rprivate"),
        bind(volume, "/b", "nodev", "rslave"),
        bind(volume, "/c", "strictatime"),
    )
    spec["root"]["readonly"] = True
    bundle.output(spec | {"root": {"path": "rootfs"}})
    new, old = (bundle.run_often(spec, below=SHARED_HOST, old_kernel=flag)[0] for flag in (False, True))
    assert new["stdout"] == old["stdout"] != "", (new, old)


def test_an_empty_volume_gets_the_content_of_the_image_once(bundle: Bundle, volume: Path) -> None:
    (bundle.rootfs / "data").mkdir(mode=0o750)
    (bundle.rootfs / "data/seed").write_text("seed")
    os.chown(bundle.rootfs / "data", 2000, 10)
    spec = mounted(shell("cat /data/seed; echo changed > /data/seed"), bind(volume, "/data", **{"x-copy-up": True}))
    assert bundle.output(spec) == "seed"
    assert bundle.output(spec) == "changed\n"
    assert (bundle.rootfs / "data/seed").read_text() == "seed"
    assert (volume.stat().st_uid, volume.stat().st_mode & 0o777) == (2000, 0o750)


def test_a_tmpfs_may_start_with_the_content_of_the_image(bundle: Bundle) -> None:
    (bundle.rootfs / "data").mkdir()
    (bundle.rootfs / "data/seed").write_text("seed\n")
    tmpfs = {"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"]}
    answer = bundle.run(mounted(shell("cat /data/seed; touch /data/x"), tmpfs))
    assert answer["stdout"] == "seed\n"
    assert "Read-only" in answer["stderr"]


def test_an_overlay_keeps_changes_in_its_upper_directory(bundle: Bundle, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("upper", "work", "merged", "odd:name,x")}
    for path in paths.values():
        path.mkdir()
    (paths["odd:name,x"] / "from-odd").touch()
    spec = shell("echo new > /made; ls /from-odd")
    spec["root"]["path"] = str(paths["merged"])
    spec["x-rootfs"] = {
        "type": "overlay",
        "lowerdir": [str(paths["odd:name,x"]), str(bundle.rootfs)],
        "upperdir": str(paths["upper"]),
        "workdir": str(paths["work"]),
    }
    assert bundle.output(spec) == "/from-odd\n"
    assert (paths["upper"] / "made").read_text() == "new\n"
    assert os.listdir(paths["merged"]) == []
    assert not (bundle.rootfs / "made").exists()


def test_an_overlay_of_very_many_layers_is_mounted(bundle: Bundle, tmp_path: Path) -> None:
    layers = [tmp_path / f"{'layer-with-a-long-name' * 4}{number}" for number in range(90)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file{number}").touch()
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    spec = shell("ls / | grep -c file")
    spec["root"]["path"] = str(tmp_path / "merged")
    spec["x-rootfs"] = {
        "type": "overlay",
        "lowerdir": [*map(str, layers), str(bundle.rootfs)],
        "upperdir": str(tmp_path / "upper"),
        "workdir": str(tmp_path / "work"),
    }
    assert bundle.output(spec) == "90\n"


@pytest.mark.parametrize(
    ("root", "option", "expected"),
    [
        ("", "rprivate", []),
        ("", "rslave", ["master"]),
        ("rslave", "", ["master"]),
        ("rprivate", "rslave", []),
        ("rshared", "rshared", ["shared"]),
    ],
)
def test_a_bind_has_the_propagation_asked_for(
    bundle: Bundle, volume: Path, root: str, option: str, expected: list[str]
) -> None:
    spec = mounted(shell("grep ' /data ' /proc/self/mountinfo"), bind(volume, "/data", *filter(None, [option])))
    spec["linux"]["rootfsPropagation"] = root
    (answer,) = bundle.run_often(spec, below=SHARED_HOST)
    optional = answer["stdout"].partition(" - ")[0].split()[6:]
    assert [word.partition(":")[0] for word in optional] == expected


@pytest.mark.parametrize("root", ["", "rprivate", "rshared"])
def test_only_mounts_below_a_shared_bind_reach_the_host(bundle: Bundle, volume: Path, root: str) -> None:
    (volume / "inner").mkdir()
    spec = mounted(shell("mount -t tmpfs inner /data/inner && mount -t tmpfs other /mnt"), bind(volume, "/data"))
    (bundle.rootfs / "mnt").mkdir()
    spec["linux"]["rootfsPropagation"] = root
    spec["process"]["capabilities"] = sets(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])
    first, second = bundle.run_often(spec, below=SHARED_HOST, repeat=2)
    assert first["exit_code"] == second["exit_code"] == 0, first

    def points(answer: dict[str, Any]) -> list[str]:
        return [line.split()[4] for line in answer["host_mounts"].splitlines()]

    expected = [str(volume / "inner")] if root == "rshared" else []
    here = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    assert sorted(points(first)) == sorted([*here, *expected])
    assert sorted(points(second)) == sorted([*here, *expected * 2])


def test_nothing_of_a_container_is_mounted_on_the_host(bundle: Bundle) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    bundle.output(make_spec("true"))
    assert Path("/proc/self/mountinfo").read_text() == before


def test_devices_are_added_and_owned_as_asked(bundle: Bundle) -> None:
    spec = shell("stat -c '%n %t:%T %a %u:%g' /dev/fuse /dev/net/tun")
    spec["linux"]["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200},
    ]
    assert bundle.output(spec).splitlines() == ["/dev/fuse a:e5 640 7:8", "/dev/net/tun a:c8 666 0:0"]
