"""The OCI verbs as other engines and test suites use them: one command a verb, state on disk in between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.machine import cgroup_directories
from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.ocicommand import Command

pytestmark = pytest.mark.root


def test_create_start_state_kill_delete(oci: Command, tmp_path: Path) -> None:
    oci.create(shell("echo started; exec sleep 60"), "--pid-file", str(tmp_path / "pid"))
    found = oci.state()
    assert found["status"] == "created"
    assert found["pid"] == int((tmp_path / "pid").read_text())
    assert (found["id"], found["bundle"]) == ("box", str(oci.bundle.directory))
    assert oci.output() == ""
    oci("start", "box")
    assert oci.state()["status"] == "running"
    assert oci("list", "-q").stdout == "box\n"
    assert str(found["pid"]) in oci("ps", "box").stdout
    assert "cannot be deleted, it is running" in oci("delete", "box", ok=False).stderr
    assert "cannot be started, it is running" in oci("start", "box", ok=False).stderr
    oci("kill", "box", "KILL")
    oci.wait("stopped")
    assert "pid" not in oci.state()
    assert "not running" in oci("kill", "box", ok=False).stderr
    oci("delete", "box")
    assert "does not exist" in oci("state", "box", ok=False).stderr
    assert oci.output() == "started\n"


def test_what_waits_runs_from_a_sealed_copy_and_cannot_be_looked_into(oci: Command) -> None:
    oci.create(make_spec("true"))
    pid = oci.state()["pid"]
    assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:")
    assert os.stat(f"/proc/{pid}/fd").st_uid == 0
    with pytest.raises(OSError, match="Permission denied|Text file busy|not permitted"):
        os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
        raise PermissionError(1, "Operation not permitted", "opened, and sealed")


def test_a_created_container_may_be_killed_and_deleted(oci: Command) -> None:
    oci.create(make_spec("true"))
    oci("kill", "box", "SIGKILL")
    oci.wait("stopped")
    oci("delete", "box")


def test_a_failed_create_leaves_nothing(oci: Command) -> None:
    done = oci.create(make_spec("nosuch"))
    assert done.returncode == 127
    assert 'exec: "nosuch": executable file not found in $PATH' in oci.output()
    assert oci("list", "-q").stdout == ""


def test_an_id_is_used_once(oci: Command) -> None:
    oci.create(make_spec("sleep", "60"))
    assert oci.create(make_spec("true")).returncode == 1
    assert "id is in use" in oci.output()
    assert oci.state()["status"] == "created"


def test_changes_of_the_bundle_after_create_are_without_effect(oci: Command) -> None:
    oci.create(shell("echo first"))
    oci.configure(shell("echo second"))
    oci("start", "box")
    oci.wait("stopped")
    assert oci.output() == "first\n"


def test_run_stays_in_front_and_gives_the_exit_code(oci: Command) -> None:
    oci.configure(shell("echo out; echo err >&2; exit 7"))
    done = oci("run", "-b", str(oci.bundle.directory), "box", ok=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    assert oci("list", "-q").stdout == ""


def test_run_forwards_signals(oci: Command) -> None:
    oci.configure(shell("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"))
    words = [
        sys.executable,
        "-m",
        "runtime.oci",
        "--root",
        str(oci.root),
        "run",
        "-b",
        str(oci.bundle.directory),
        "box",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as running:
        assert running.stdout
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 9


def test_exec_enters_a_running_container(oci: Command, tmp_path: Path) -> None:
    oci.create(make_spec("sleep", "60"))
    assert "it is created" in oci("exec", "box", "true", ok=False).stderr
    oci("start", "box")
    done = oci(
        "exec", "-e", "A=b", "--cwd", "/etc", "-u", "app", "box", "sh", "-c", "echo $A; pwd; id -u; exit 3", ok=False
    )
    assert (done.stdout.split(), done.returncode) == (["b", "/etc", "2000"], 3)
    assert oci("exec", "box", "nosuch", ok=False).returncode == 127
    (tmp_path / "process").write_text(json.dumps(make_spec("hostname")["process"]))
    assert oci("exec", "--process", str(tmp_path / "process"), "box").stdout == "box\n"


def test_the_terminals_master_goes_to_the_console_socket(oci: Command, tmp_path: Path) -> None:
    spec = shell("read line; echo got $line")
    spec["process"]["terminal"] = True
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "console"))
        server.listen(1)
        oci.create(spec, "--console-socket", str(tmp_path / "console"))
        peer, _ = server.accept()
        with peer:
            _, (master,), _, _ = socket.recv_fds(peer, 64, 1)
    oci("start", "box")
    os.write(master, b"word\n")
    text = b""
    try:
        while chunk := os.read(master, 1024):
            text += chunk
    except OSError:
        pass
    os.close(master)
    assert b"got word" in text


def test_descriptors_are_preserved_on_request(oci: Command, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("through")
    oci.create(shell("cat <&3; ls /proc/self/fd"), "--preserve-fds", "1", third=tmp_path / "given")
    oci("start", "box")
    oci.wait("stopped")
    assert oci.output().split() == ["through0", "1", "2", "3", "4"]


def test_pause_stops_and_resume_goes_on(oci: Command) -> None:
    oci.create(shell("while :; do echo x; sleep 0.01; done"))
    oci("start", "box")
    oci("pause", "box")
    assert oci.state()["status"] == "paused"
    before = len(oci.output())
    time.sleep(0.1)
    assert len(oci.output()) == before
    oci("resume", "box")
    assert oci.state()["status"] == "running"
    oci("pause", "box")


def test_hooks_after_the_end_run_at_delete(oci: Command, tmp_path: Path) -> None:
    spec = make_spec("true")
    spec["hooks"] = {
        stage: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {tmp_path}/{stage}"]}]
        for stage in ("poststart", "poststop")
    }
    oci.create(spec)
    oci("start", "box")
    oci.wait("stopped")
    oci("delete", "box")
    assert json.loads((tmp_path / "poststart").read_text())["id"] == "box"
    assert json.loads((tmp_path / "poststop").read_text())["status"] == "stopped"


def test_errors_go_to_the_log_in_the_form_asked_for(oci: Command, tmp_path: Path) -> None:
    oci("--log", str(tmp_path / "log"), "--log-format", "json", "state", "absent", ok=False)
    entry = json.loads((tmp_path / "log").read_text())
    assert (entry["level"], entry["msg"]) == ("error", "container absent: does not exist")


def test_limits_of_the_spec_hold(oci: Command) -> None:
    spec = make_spec("sleep", "60")
    spec["linux"]["resources"] = {"pids": {"limit": 42}}
    oci.create(spec)
    oci("start", "box")
    found = [path for folder in cgroup_directories(oci.cgroup) if (path := folder / "pids.max").exists()]
    assert [path.read_text() for path in found] == ["42\n"]
