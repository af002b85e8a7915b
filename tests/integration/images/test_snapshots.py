"""Root file systems of containers, mounted in a mount namespace of the test's own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from runtime.errors import InvalidParameter
from runtime.images.snapshot import choice, copy, overlay
from tests.kit import machine

pytestmark = pytest.mark.root

REPOSITORY = Path(__file__).resolve().parents[3]
PRELUDE = """
import json, os, subprocess, sys
base = sys.argv[1]
sys.path.insert(0, sys.argv[2])
from runtime.images import hostlayer
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL as kernel
kernel.unshare(c.CLONE_NEWNS)
kernel.mount("", "/", "", c.MS_REC | c.MS_SLAVE)

def merge(rootfs, target):
    os.makedirs(target, exist_ok=True)
    options = f"lowerdir={':'.join(rootfs['lowerdir'])},upperdir={rootfs['upperdir']},workdir={rootfs['workdir']}"
    kernel.mount("overlay", target, "overlay", 0, options)
    return target
"""


def isolated(base: Path, script: str) -> Any:
    """Run `script` after the prelude in a process with mounts of its own; what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(script), str(base), str(REPOSITORY)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Any:
    yield
    assert machine.mounts(str(tmp_path)) == []


HOST = """
from runtime.images.snapshot import overlay
os.makedirs(base + "/c")
root = merge(overlay.prepare(base + "/c", [hostlayer.mount(kernel, base + "/host", hide=hide)]), base + "/c/rootfs")
"""


def test_the_host_s_programs_run_from_the_built_in_image(tmp_path: Path) -> None:
    found = isolated(
        tmp_path,
        "hide = ()"
        + HOST
        + dedent("""
        def inside(*argv):
            return subprocess.run(["chroot", root, *argv], capture_output=True, text=True, check=False).stdout.strip()
        print(json.dumps([inside("/bin/sh", "-c", "echo it works"), inside("id", "-un"), inside("ls", "/root")]))
        """),
    )
    assert found == ["it works", "root", ""]


def test_nothing_but_the_allow_list_is_in_the_built_in_image(tmp_path: Path) -> None:
    found = isolated(
        tmp_path,
        "hide = ()"
        + HOST
        + dedent("""
        os.mkdir("/pycompose-test-later")
        try:
            fresh = os.path.exists(root + "/pycompose-test-later")
        finally:
            os.rmdir("/pycompose-test-later")
        private = [path for path in ("etc/shadow", "etc/gshadow", "etc/ssh", "etc/ssl/private", "etc/machine-id", "etc/fstab",
                                     "etc/sudoers", "etc/hosts.allow", "etc/cron.d") if os.path.lexists(f"{root}/{path}")]
        below = {name: os.listdir(f"{root}/{name}") for name in ("root", "home", "opt", "srv", "mnt", "dev", "tmp", "var/lib")}
        print(json.dumps({
            "top": sorted(os.listdir(root)), "fresh": fresh, "private": private, "below": below,
            "passwd": open(root + "/etc/passwd").read(), "hosts": open(root + "/etc/hosts").read(),
            "tmp": os.stat(root + "/tmp").st_mode & 0o7777, "usr": sorted(os.listdir(root + "/usr")),
        }))
        """),
    )
    allowed = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "dev", "proc", "sys", "tmp", "run", "var",
               "root", "home", "opt", "srv", "mnt", "media"}  # fmt: skip
    assert set(found["top"]) <= allowed
    assert found["usr"] == sorted(os.listdir("/usr"))
    assert not found["fresh"]
    assert found["private"] == []
    assert all(names == [] for names in found["below"].values())
    assert found["hosts"] == ""
    assert found["tmp"] == 0o1777
    assert "root:x:0:0:" in found["passwd"]
    assert not [line for line in found["passwd"].splitlines() if 1000 <= int(line.split(":")[2]) < 65534]


def test_what_a_container_writes_stays_in_its_upper_directory(tmp_path: Path) -> None:
    found = isolated(
        tmp_path,
        "hide = ()"
        + HOST
        + dedent("""
        open(root + "/usr/bin/pycompose-test-new", "w").close()
        os.unlink(root + "/usr/bin/env")
        print(json.dumps([sorted(os.listdir(base + "/c/upper/usr/bin")), os.path.exists("/usr/bin/env"),
                          os.path.exists("/usr/bin/pycompose-test-new"), os.path.exists(root + "/usr/bin/env")]))
        """),
    )
    assert found == [["env", "pycompose-test-new"], True, False, False]


def test_a_data_root_below_usr_can_be_hidden(tmp_path: Path) -> None:
    found = isolated(
        tmp_path,
        'hide = ("/usr/share/doc",)'
        + HOST
        + dedent("""
        print(json.dumps([os.path.exists(root + "/usr/share/doc"), os.path.exists(root + "/usr/share")]))
        """),
    )
    assert found == [False, True]


def test_layers_of_an_image_merge_and_hide_as_they_say(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for layer in (lower, upper):
        (layer / "d").mkdir(parents=True)
    (lower / "d/old").write_text("1")
    (lower / "gone").write_text("1")
    (upper / "d/new").write_text("2")
    os.mknod(upper / "gone", stat.S_IFCHR, 0)
    os.setxattr(upper / "d", "trusted.overlay.opaque", b"y")
    (tmp_path / "c").mkdir()
    rootfs = overlay.prepare(str(tmp_path / "c"), [str(upper), str(lower)])
    found = isolated(
        tmp_path,
        f"root = merge({rootfs!r}, base + '/c/rootfs')\nprint(json.dumps([sorted(os.listdir(root)), os.listdir(root + '/d')]))",
    )
    assert found == [["d"], ["new"]]
    # and the copy says the same
    (tmp_path / "p").mkdir()
    copy.prepare(str(tmp_path / "p"), [str(upper), str(lower)])
    assert sorted(os.listdir(tmp_path / "p/rootfs")) == ["d"]
    assert os.listdir(tmp_path / "p/rootfs/d") == ["new"]
    (tmp_path / "p/rootfs/mine").write_text("kept")
    copy.prepare(str(tmp_path / "p"), [str(upper), str(lower)])
    assert (tmp_path / "p/rootfs/mine").exists()


def test_preparing_twice_keeps_what_was_written_and_removal_goes_to_the_trash(tmp_path: Path) -> None:
    container, trash = tmp_path / "c", tmp_path / "trash"
    container.mkdir()
    trash.mkdir()
    rootfs = overlay.prepare(str(container), ["/usr"])
    Path(rootfs["upperdir"], "file").write_text("x")
    assert overlay.prepare(str(container), ["/usr"]) == rootfs
    assert Path(rootfs["upperdir"], "file").exists()
    assert stat.S_IMODE(os.stat(rootfs["upperdir"]).st_mode) == 0o755
    overlay.remove(str(container), str(trash))
    assert os.listdir(container) == []
    assert len(os.listdir(trash)) == 2
    with pytest.raises(InvalidParameter):
        overlay.prepare(str(container), [])


def test_the_probe_tells_where_overlay_works_and_leaves_nothing(tmp_path: Path) -> None:
    assert choice.can_overlay(str(tmp_path)) == (choice.choose(str(tmp_path)) == "overlay")
    assert os.listdir(tmp_path) == []
    found = isolated(
        tmp_path,
        """
        from runtime.images.snapshot import choice
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(f"{base}/{name}")
        kernel.mount("overlay", f"{base}/merged", "overlay", 0, f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work")
        print(json.dumps([choice.can_overlay(base), choice.can_overlay(base + "/merged"), os.listdir(base + "/merged")]))
        """,
    )
    assert found[1:] == [False, []]
