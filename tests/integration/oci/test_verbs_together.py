"""What two commands at once, a creator that dies, and things that are damaged or in use come to; what is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from tests.kit.ocibundle import Bundle
    from tests.kit.ocicommand import Command

pytestmark = pytest.mark.root


def until_gone(*pids: int) -> None:
    deadline = time.monotonic() + 10
    while left := [pid for pid in pids if os.path.exists(f"/proc/{pid}/ns/mnt")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def members(oci: Command) -> list[int]:
    return [int(word) for word in oci("ps", "-f", "json", "box").stdout.strip("[]\n").split(",") if word]


def hook(text: str, **more: Any) -> dict[str, Any]:
    return {"path": "/bin/sh", "args": ["sh", "-c", text], **more}


def test_of_creations_at_once_with_one_id_one_is_made(oci: Command) -> None:
    oci.configure(make_spec("sleep", "60"))
    words = oci.words("create", "-b", str(oci.bundle.directory), "box")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    together = [subprocess.Popen(words, **quiet) for _ in range(4)]  # type: ignore[call-overload]
    assert sorted(process.wait(30) for process in together) == [0, 1, 1, 1]
    assert oci.state()["status"] == "created"
    oci("start", "box")
    assert members(oci) == [oci.state()["pid"]]


def test_of_starts_at_once_one_starts_it(oci: Command) -> None:
    oci.create(make_spec("sleep", "60"))
    words = oci.words("start", "box")
    together = [subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [process.communicate(timeout=30)[1] for process in together]
    assert sorted(process.returncode for process in together) == [0, 1, 1, 1]
    assert all("cannot be started" in text or "is not waiting" in text for text in answers if text)
    assert oci.state()["status"] == "running"


def test_a_child_whose_creator_dies_before_it_is_on_record_ends(bundle: Bundle, tmp_path: Path) -> None:
    spec = make_spec("sleep", "60")
    program = (
        "import json, os, socket, sys; sys.path.insert(0, sys.argv[1]);"
        "from runtime.linux.syscalls import KERNEL; from runtime.oci import create;"
        "gate = socket.socket(socket.AF_UNIX); gate.bind(sys.argv[4]); gate.listen();"
        "made = create.create(KERNEL, json.loads(sys.argv[2]), bundle=sys.argv[3], stdio=(None, None, None),"
        " gate=gate.fileno()); print(made.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    top = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(top), json.dumps(spec), str(bundle.directory), str(tmp_path / "gate")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    until_gone(int(done.stdout))


@pytest.mark.parametrize("before", ["created", "running", "paused", "stopped"])
def test_delete_force_removes_every_process_whatever_the_status(oci: Command, before: str) -> None:
    spec = shell("sleep 61 & sleep 62 & wait")
    if before == "created":
        oci.create(spec)
    else:
        oci.start(spec)
    if before == "paused":
        oci("pause", "box")
    if before == "stopped":
        oci("kill", "box", "KILL")
        oci.wait("stopped")
    first = oci.state().get("pid", 0)
    pids = {pid for pid in (first, *members(oci)) if pid}
    oci("delete", "--force", "box")
    until_gone(*pids)
    assert oci("list", "-q").stdout == ""
    oci("delete", "--force", "box")


def test_in_the_hosts_pid_namespace_delete_ends_what_the_first_process_left(oci: Command) -> None:
    spec = shell("sleep 61 > /dev/null 2>&1 & exit 0")
    spec["linux"]["namespaces"] = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != "pid"]
    oci.start(spec)
    oci.wait("stopped")
    left = members(oci)
    assert len(left) == 1
    oci("delete", "box")
    until_gone(*left)


def test_kill_all_reaches_the_others_and_a_paused_one_can_be_killed(oci: Command) -> None:
    oci.start(
        shell("sh -c 'trap \"echo child\" USR1; while :; do sleep 0.02; done' & trap 'echo first' USR1; wait; wait")
    )
    time.sleep(0.3)
    assert len(members(oci)) > 1
    oci("kill", "--all", "box", "USR1")
    deadline = time.monotonic() + 10
    while not {"first", "child"} <= set(oci.output().split()):
        assert time.monotonic() < deadline, oci.output()
        time.sleep(0.02)
    oci("kill", "box", "0")
    oci("pause", "box")
    oci("kill", "box", "9")
    oci.wait("stopped")
    assert oci("kill", "box", "0", ok=False).returncode == 1


def test_kill_all_reaches_a_container_that_waits(oci: Command) -> None:
    oci.create(make_spec("true"))
    oci("kill", "-a", "box", "KILL")
    oci.wait("stopped")


def test_pausing_twice_and_resuming_what_runs_are_errors(oci: Command) -> None:
    oci.start(make_spec("sleep", "60"))
    assert "is running, not paused" in oci("resume", "box", ok=False).stderr
    oci("pause", "box")
    assert "is paused, not running" in oci("pause", "box", ok=False).stderr
    assert "cannot exec, it is paused" in oci("exec", "box", "true", ok=False).stderr
    oci("resume", "box")


def test_the_state_has_the_fields_of_the_specification_and_runcs(oci: Command) -> None:
    spec = make_spec("sleep", "60")
    spec["annotations"] = {"org.example.key": "value"}
    oci.create(spec)
    directory = str(oci.bundle.directory)
    found = oci.state()
    assert found.pop("pid") > 1
    assert found.pop("created").endswith("Z")
    assert found == {
        "ociVersion": "1.2.0",
        "id": "box",
        "status": "created",
        "bundle": directory,
        "annotations": {"org.example.key": "value"},
        "rootfs": f"{directory}/rootfs",
    }
    (row,) = json.loads(oci("list", "--format", "json").stdout)
    assert row == oci.state()
    assert oci("list").stdout.split()[:5] == ["ID", "PID", "STATUS", "BUNDLE", "CREATED"]
    assert f"{directory} " in oci("list").stdout


def nothing_is_left(oci: Command) -> None:
    assert oci("list", "-q").stdout == ""
    assert not (oci.root / "box").exists()
    assert not [path for path in Path("/sys/fs/cgroup").iterdir() if (path / oci.cgroup).exists()]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"root": {"path": "nosuch"}}, [], "/nosuch: no such file or directory"),
        ({"root": "rootfs"}, [], "config.json.root: 'rootfs' is not an object"),
        ({"process__terminal": True}, [], "terminal: needs a console socket"),
        ({"process__terminal": True}, ["--console-socket", "/nosuch/console"], "/nosuch: No such file or directory"),
        ({"process__cwd": "/proc/self/fd/3"}, [], "working directory /proc/self/fd/3: too many levels"),
        ({"process__user": {"uid": 2**32 - 1}}, [], "user: id 4294967295 is out of range"),
        ({"process__user": {"uid": 2**32}}, [], "user: id 4294967296 is out of range"),
        ({"hooks": {"prestart": [hook("exit 3")]}}, [], "hook prestart /bin/sh: ended with status 3"),
        ({"hooks": {"createRuntime": [hook("sleep 60", timeout=1)]}}, [], "did not end within 1 s"),
        ({}, ["--pid-file", "/nosuch/pid"], "No such file or directory"),
        ({}, ["--preserve-fds", "1"], "preserve-fds 1: descriptor 3 is not open"),
    ],
)
def test_what_cannot_be_created_is_one_line_and_leaves_nothing(
    oci: Command, change: dict[str, Any], options: list[str], message: str
) -> None:
    spec = make_spec("true")
    for key, value in change.items():
        section, _, name = key.partition("__")
        if name:
            spec[section][name] = value
        else:
            spec[section] = value
    assert oci.create(spec, *options).returncode != 0
    assert message in oci.output()
    assert oci.output().count("\n") == 1
    assert oci.output().startswith("pycompose oci: ")
    nothing_is_left(oci)


def test_a_cgroup_that_others_are_in_is_not_shared(oci: Command) -> None:
    oci.start(make_spec("sleep", "60"))
    done = oci("create", "-b", str(oci.bundle.directory), "other", ok=False)
    assert "has processes already" in done.stderr
    assert oci.state()["status"] == "running"
    assert oci("list", "-q").stdout == "box\n"


def test_a_poststart_hook_that_fails_ends_the_container(oci: Command) -> None:
    spec = make_spec("sleep", "60")
    spec["hooks"] = {"poststart": [hook("echo no >&2; exit 4")]}
    oci.create(spec)
    done = oci("start", "box", ok=False)
    assert (done.returncode, done.stderr) == (
        1,
        "pycompose oci: hook poststart /bin/sh: ended with status 4: no\n",
    )
    assert oci.state()["status"] == "stopped"


def test_a_poststop_hook_that_fails_is_a_warning_and_the_next_one_runs(oci: Command, tmp_path: Path) -> None:
    spec = make_spec("true")
    spec["hooks"] = {"poststop": [hook("exit 4"), hook(f"cat > {tmp_path}/last")]}
    oci.start(spec)
    oci.wait("stopped")
    assert oci("delete", "box").stderr == "pycompose oci: warning: hook poststop /bin/sh: ended with status 4\n"
    assert json.loads((tmp_path / "last").read_text())["status"] == "stopped"
    nothing_is_left(oci)


def test_a_container_with_a_damaged_record_is_removed_by_force(oci: Command) -> None:
    oci.create(make_spec("true"))
    oci("kill", "box", "KILL")
    oci.wait("stopped")
    (oci.root / "box/state.json").write_text("{")
    assert "state is damaged" in oci("state", "box", ok=False).stderr
    oci("delete", "--force", "box")
    assert not (oci.root / "box").exists()
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        if (hierarchy / oci.cgroup).is_dir():  # its name was on the record
            (hierarchy / oci.cgroup).rmdir()


def test_no_descriptor_of_the_command_stays_in_a_container_that_asks_for_more_than_it_is_given(oci: Command) -> None:
    """CVE-2024-21626 by another door: `--preserve-fds` counts numbers that would be the runtime's own."""
    oci.start(make_spec("sleep", "60"))
    done = oci("exec", "--preserve-fds", "20", "box", "ls", "/proc/self/fd", ok=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert oci("exec", "box", "ls", "/proc/self/fd").stdout.split() == ["0", "1", "2", "3"]
