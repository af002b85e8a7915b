"""Known ways out of a container, tried: each test names the mistake it would show.

Every case uses a directory of the host, the sentinel, whose fixture fails if anything about it has changed.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.ocibundle import Bundle

pytestmark = pytest.mark.root


def overlaid(bundle: Bundle, spec: dict[str, Any]) -> dict[str, Any]:
    """The same with the root file system as the lower layer of an overlay, as the engine does it."""
    for name in ("upper", "work", "merged"):
        (bundle.directory / name).mkdir(exist_ok=True)
    spec["root"] = {"path": "merged"}
    spec["x-rootfs"] = {
        "type": "overlay",
        "lowerdir": [str(bundle.rootfs)],
        "upperdir": str(bundle.directory / "upper"),
        "workdir": str(bundle.directory / "work"),
    }
    return spec


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_links_of_an_image_where_our_file_systems_go_are_replaced(bundle: Bundle, sentinel: Path, name: str) -> None:
    """CVE-2026-41579: /dev of the image is a link, and nodes are made on the host."""
    (bundle.rootfs / name).symlink_to(sentinel)
    assert bundle.output(overlaid(bundle, shell(f"[ -L /{name} ] || ls -d /{name}"))).strip() == f"/{name}"


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
@pytest.mark.parametrize("target", ["sentinel", "elsewhere"])
def test_links_in_a_plain_root_never_lead_outside(bundle: Bundle, sentinel: Path, name: str, target: str) -> None:
    if name == "etc":
        (bundle.rootfs / "etc").rename(bundle.rootfs / "etc.kept")
    (bundle.rootfs / name).symlink_to(sentinel if target == "sentinel" else "../../elsewhere")
    bundle.run(shell("touch /dev/x /sys/x /etc/x /proc/x"))


@pytest.mark.parametrize("name", ["shm", "pts", "mqueue"])
def test_links_below_a_bound_dev_never_lead_outside(bundle: Bundle, sentinel: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / name).symlink_to(sentinel)
    spec = shell("touch /dev/shm/x /dev/pts/x /dev/mqueue/x; :")
    spec["mounts"][1] = {"destination": "/dev", "type": "bind", "source": str(tmp_path / "dev"), "options": ["rbind"]}
    bundle.run(spec)
    assert not Path(f"/proc/self/root{sentinel}/x").exists()


def test_a_volume_at_a_link_is_mounted_inside(bundle: Bundle, sentinel: Path, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/mark").touch()
    (bundle.rootfs / "data").symlink_to(sentinel)
    spec = shell(f"ls /data {sentinel}")
    spec["mounts"].append(
        {"destination": "/data", "type": "bind", "source": str(tmp_path / "volume"), "options": ["rbind"]}
    )
    assert bundle.output(spec).count("mark") == 2


@pytest.mark.parametrize("path", ["/data/sub/file", "/data/sub", "/data/file"])
def test_mount_targets_inside_a_volume_never_follow_its_links(
    bundle: Bundle, sentinel: Path, tmp_path: Path, path: str
) -> None:
    """CVE-2024-5154: a file is mounted below a volume that holds a link to the host."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "sub").symlink_to(sentinel)
    (volume / "file").symlink_to(sentinel / "file")
    source = tmp_path / "source"
    source.write_text("from the engine")
    spec = shell(f"echo changed > {path}; :")
    spec["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(volume), "options": ["rbind"]},
        {"destination": path, "type": "bind", "source": str(source), "options": ["rbind"]},
    ]
    bundle.run(spec)


def test_a_link_that_leads_into_proc_is_no_mount_target(bundle: Bundle, tmp_path: Path) -> None:
    """CVE-2019-16884, CVE-2023-27561: what is mounted over procfs takes the kernel's writes."""
    (bundle.rootfs / "innocent").symlink_to("/proc/self")
    (tmp_path / "fake").mkdir()
    spec = shell("true")
    spec["mounts"].append(
        {"destination": "/innocent/attr", "type": "bind", "source": str(tmp_path / "fake"), "options": ["rbind"]}
    )
    assert "leads into /proc" in bundle.run(spec)["error"]["message"]


def test_a_proc_in_the_image_that_is_a_link_is_refused_in_a_plain_root(bundle: Bundle) -> None:
    (bundle.rootfs / "elsewhere").mkdir()
    (bundle.rootfs / "proc").symlink_to("elsewhere")
    assert "proc on /proc" in bundle.run(shell("true"))["error"]["message"]


def test_the_mask_of_a_file_is_not_the_containers_null_device(bundle: Bundle) -> None:
    """CVE-2025-31133: /dev/null of the image is a link to what then covers a masked path."""
    (bundle.rootfs / "dev").mkdir()
    (bundle.rootfs / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    spec = shell("wc -c < /proc/keys; echo '|/x' > /proc/keys; stat -c %t:%T /proc/keys")
    spec["mounts"] = [entry for entry in spec["mounts"] if not entry["destination"].startswith("/dev")]
    assert bundle.output(spec).split() == ["0", "1:3"]
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


@pytest.mark.parametrize("number", range(3, 24, 4))
def test_a_descriptor_of_the_creator_is_no_working_directory(bundle: Bundle, number: int) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N is a directory of the host."""
    for path in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../../..", f"/proc/1/fd/{number}"):
        answer = bundle.run(shell("pwd; ls", cwd=path), leaks=24)
        assert "error" in answer, path


def test_an_exec_into_a_descriptor_fails_too(bundle: Bundle) -> None:
    processes = [
        {**make_spec("/bin/sh", "-c", "pwd")["process"], "cwd": f"/proc/self/fd/{number}"} for number in range(3, 20)
    ]
    answer = bundle.run(make_spec("sleep", "60"), execs=processes, signal=9, leaks=24)
    assert {entry["exit_code"] for entry in answer["execs"]} <= {125, 126, 127}
    assert all("error" in entry for entry in answer["execs"])


@pytest.mark.parametrize("program", ["/proc/self/exe", "/link", "/script"])
def test_the_interpreter_is_not_executed_again_inside(bundle: Bundle, program: str) -> None:
    """CVE-2019-5736: the entry point is /proc/self/exe, and the runtime's own program is left open to be overwritten."""
    before = hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()
    (bundle.rootfs / "link").symlink_to("/proc/self/exe")
    (bundle.rootfs / "script").write_text("#!/proc/self/exe\n")
    (bundle.rootfs / "script").chmod(0o755)
    answer = bundle.run(make_spec(program, "-c", "print('ran')"))
    assert "ran" not in answer["stdout"]
    assert hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest() == before


def test_what_enters_cannot_be_looked_into(bundle: Bundle) -> None:
    """CVE-2016-9962: a process of the container opens /proc/PID/{exe,fd,mem} of one that is just entering.

    What the dynamic loader opens when it has entered is the container's own.
    """
    watcher = (
        "seen=; end=$(($(date +%s)+4)); while [ ! -e /done ] && [ $(date +%s) -lt $end ]; do for p in /proc/[0-9]*; do"
        " e=$(readlink $p/exe 2>/dev/null) && case $e in /usr/*|'') ;; *) echo \"$p $e\";; esac;"
        " for f in $p/fd/*; do t=$(readlink $f 2>/dev/null) && case $t in"
        ' /dev/*|pipe:*|/memfd:std*|/|/proc/*|/done|/usr/lib/*|/etc/ld.so.cache) ;; *) echo "$f $t";; esac; done; done; done; echo end'
    )
    process = make_spec("true")["process"]
    answer = bundle.run(shell(watcher), execs=[process] * 60 + [make_spec("touch", "/done")["process"]])
    assert all(entry["exit_code"] == 0 for entry in answer["execs"])
    assert answer["stdout"] == "end\n"


def test_an_init_cannot_be_looked_into(bundle: Bundle) -> None:
    spec = {
        **shell(
            "readlink /proc/1/exe || ls /proc/1/fd; cat /proc/1/environ | wc -c; cat /proc/1/comm; cat /proc/1/cmdline"
        ),
        "x-init": True,
    }
    answer = bundle.run(spec)
    assert "python" not in answer["stdout"]
    assert "Permission denied" in answer["stderr"]
    assert "init" in answer["stdout"]


@pytest.mark.parametrize("kind", ["loop", "fifo", "host link", "directory"])
def test_a_passwd_file_is_never_the_hosts(bundle: Bundle, kind: str) -> None:
    """CVE-2024-9676: /etc/passwd of the image is a FIFO, a loop, or a link."""
    path = bundle.rootfs / "etc/passwd"
    path.unlink()
    if kind == "loop":
        path.symlink_to("passwd")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(Path("/etc/passwd"))
    assert "error" in bundle.run(make_spec("id", **{"x-user": "daemon"}))


def test_release_agents_are_not_reachable(bundle: Bundle) -> None:
    """CVE-2022-0492."""
    spec = shell("find /sys/fs/cgroup -name release_agent -perm -u=w -exec sh -c 'echo x > {}' \\; 2>&1; :")
    text = bundle.output(spec, cgroup=f"pycompose-test-{os.getpid()}")
    assert "Read-only" in text or text == ""


@pytest.fixture
def swapping(tmp_path: Path, sentinel: Path) -> Iterator[Path]:
    """A volume whose directory `a` is exchanged for a link to the host and back, as fast as possible."""
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(sentinel)
    stop = threading.Event()
    exchange = ctypes.CDLL(None).renameat2
    first, second = os.fsencode(volume / "a"), os.fsencode(volume / "b")

    def swap() -> None:
        while not stop.is_set():
            exchange(-100, first, -100, second, 2)

    racer = threading.Thread(target=swap)
    racer.start()
    yield volume
    stop.set()
    racer.join()


@pytest.mark.parametrize(
    "mount",
    [
        {"destination": "/v/a/x", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
        {"destination": "/v/a/y", "type": "bind", "source": "/usr/share", "options": ["rbind", "ro"]},
        {"destination": "/v/a/z/file", "type": "bind", "source": "/usr/bin/env", "options": ["rbind", "ro"]},
    ],
)
def test_a_target_that_is_swapped_while_mounting_stays_inside(
    bundle: Bundle, swapping: Path, mount: dict[str, Any]
) -> None:
    """CVE-2021-30465, CVE-2024-45310."""
    before = Path("/proc/self/mountinfo").read_text()
    spec = make_spec("true")
    spec["mounts"] += [{"destination": "/v", "type": "bind", "source": str(swapping), "options": ["rbind"]}, mount]
    answers = bundle.run_often(spec, repeat=60)
    assert any(answer.get("exit_code") == 0 for answer in answers), "the race was never won by the good side"
    assert Path("/proc/self/mountinfo").read_text() == before
