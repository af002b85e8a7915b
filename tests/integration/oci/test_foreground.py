"""run and exec in front of a user: exit codes, terminals, what exec may add; root file systems of their own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.ocibundle import make_spec, shell
from tests.kit.rootfs import tiny_rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.ocicommand import Command

pytestmark = pytest.mark.root


class Screen:
    """A user's terminal with a command in it."""

    def __init__(self, words: list[str]) -> None:
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("=HHHH", 33, 99, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.text = ""
        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)

    def wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + 20
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, self.text
            self.text += os.read(self.master, 4096).decode()
        return found[0]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """The exit code; what the command has done to the terminal's mode is undone."""
        code = self.process.wait(20)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    made: list[Screen] = []
    yield made
    for screen in made:
        screen.close()


def run(oci: Command, spec: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    oci.configure(spec)
    return oci("run", "-b", str(oci.bundle.directory), *options, "box", ok=False)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["sh", "-c", "exit 5"], 5, ""),
        (["sh", "-c", "kill -TERM $$; sleep 1; exit 6"], 6, ""),
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 126, 'exec: "/etc": is a directory: permission denied'),
        (["/proc/self/exe"], 126, 'exec: "/proc/self/exe": too many levels of symbolic links'),
    ],
)
def test_run_gives_the_exit_code_of_the_program_or_why_there_is_none(
    oci: Command, args: list[str], code: int, message: str
) -> None:
    done = run(oci, make_spec(*args))
    assert (done.returncode, done.stderr) == (code, f"pycompose oci: {message}\n" if message else "")
    assert oci("list", "-q").stdout == ""


def test_a_run_that_is_kept_is_stopped_and_there(oci: Command) -> None:
    assert run(oci, shell("exit 4"), "--keep").returncode == 4
    assert oci.state()["status"] == "stopped"


def test_a_killed_container_is_128_and_the_signal(oci: Command) -> None:
    oci.configure(make_spec("sleep", "60"))
    words = oci.words("run", "-b", str(oci.bundle.directory), "box")
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 10
        while oci("kill", "box", "KILL", ok=False).returncode:
            assert time.monotonic() < deadline
        assert running.wait(10) in {137, 1}  # 1: it was killed before its start
    assert oci("list", "-q").stdout == ""


def test_a_detached_run_is_left_to_itself(oci: Command, tmp_path: Path) -> None:
    oci.configure(make_spec("sleep", "60"))
    words = oci.words("run", "-d", "--pid-file", str(tmp_path / "pid"), "-b", str(oci.bundle.directory), "box")
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False
    )
    assert done.returncode == 0
    assert oci.state()["status"] == "running"
    assert int((tmp_path / "pid").read_text()) == oci.state()["pid"]


def test_a_detached_run_with_a_terminal_needs_somewhere_to_send_it(oci: Command) -> None:
    spec = make_spec("true")
    spec["process"]["terminal"] = True
    done = run(oci, spec, "-d")
    assert (done.returncode, done.stderr) == (
        1,
        "pycompose oci: terminal: needs a console socket to send its master to\n",
    )


def test_run_with_a_terminal_shows_it_on_ours(oci: Command, screens: list[Screen]) -> None:
    spec = shell("stty size; tty; read line; echo got $line; exit 3")
    spec["process"]["terminal"] = True
    oci.configure(spec)
    screen = Screen(oci.words("run", "-b", str(oci.bundle.directory), "box"))
    screens.append(screen)
    screen.wait_for(r"33 99\s+/dev/pts/0")
    screen.type("word\r")
    screen.wait_for("got word")
    assert screen.end() == 3
    assert oci("list", "-q").stdout == ""


def test_a_terminal_follows_the_size_of_ours(oci: Command, screens: list[Screen]) -> None:
    spec = shell("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done")
    spec["process"]["terminal"] = True
    oci.configure(spec)
    screen = Screen(oci.words("run", "-b", str(oci.bundle.directory), "box"))
    screens.append(screen)
    screen.wait_for("ready")
    ioctl(screen.master, termios.TIOCSWINSZ, struct.pack("=HHHH", 11, 22, 0, 0))
    os.kill(screen.process.pid, 28)
    screen.wait_for("11 22")
    assert screen.end() == 0


def test_exec_with_a_terminal_ends_with_its_process(oci: Command, screens: list[Screen]) -> None:
    oci.start(make_spec("sleep", "60"))
    inside = "trap '' HUP; sleep 50 & stty size; tty; exit 6"
    screen = Screen(oci.words("exec", "-t", "box", "sh", "-c", inside))
    screens.append(screen)
    screen.wait_for(r"33 99\s+/dev/pts/0")
    assert screen.end() == 6


def test_exec_with_a_terminal_where_there_is_none_says_so(oci: Command, screens: list[Screen]) -> None:
    spec = make_spec("sleep", "60")
    spec["mounts"] = [entry for entry in spec["mounts"] if entry["destination"] != "/dev/pts"]
    oci.start(spec)
    screen = Screen(oci.words("exec", "-t", "box", "true"))
    screens.append(screen)
    screen.wait_for("pycompose oci: .*no such file or directory")
    assert screen.end() == 1


def test_a_detached_exec_leaves_its_pid(oci: Command, tmp_path: Path) -> None:
    oci.start(make_spec("sleep", "60"))
    words = oci.words("exec", "-d", "--pid-file", str(tmp_path / "pid"), "box", "sleep", "50")
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False
    )
    assert done.returncode == 0
    pid = int((tmp_path / "pid").read_text())
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    assert str(pid) in oci("ps", "box").stdout.split()
    done = oci("exec", "-d", "-t", "box", "true", ok=False)
    assert "needs a console socket" in done.stderr


def test_exec_adds_what_it_is_asked_for(oci: Command) -> None:
    oci.start(make_spec("sleep", "60"))
    status = ["grep", "-E", "CapEff|CapInh|CapAmb|NoNew", "/proc/self/status"]
    words = oci("exec", "--cap", "CAP_NET_ADMIN", "--no-new-privs", "box", *status).stdout.split()
    assert words[1::2] == ["0000000000000000", "00000000a80435fb", "0000000000000000", "1"]
    assert oci("exec", "-u", "app", "-g", "4321", "box", "id", "-G").stdout.split() == ["10", "3000", "4321"]
    assert "capability CAP_NOSUCH: unknown" in oci("exec", "--cap", "CAP_NOSUCH", "box", "true", ok=False).stderr
    assert oci("exec", "box", "--", "echo", "-n", "x").stdout == "x"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("0", "0 0 0"),
        ("root", "0 0 0"),
        ("app", "2000 10 10,3000"),
        ("2000", "2000 10 10,3000"),
        ("app:", "2000 10 10,3000"),
        ("app:extra", "2000 3000 3000"),
        ("app:77", "2000 77 77"),
        ("01000", "1000 0 0"),
        ("+5", "5 0 0"),
        ("4711:4712", "4711 4712 4712"),
        (":5", "0 5 5"),
        ("2147483647", "2147483647 0 0"),
        ("nosuch", "unable to find user nosuch"),
        ("app:nosuch", "unable to find group nosuch"),
        ("0x10", "unable to find user 0x10"),
        ("app ", "unable to find user app "),
        ("1_0", "unable to find user 1_0"),
        ("-1", "uids and gids must be in range"),
        ("2147483648", "uids and gids must be in range"),
        ("4294967296", "uids and gids must be in range"),
        ("0:-1", "uids and gids must be in range"),
    ],
)
def test_users_of_an_exec_are_read_as_docker_reads_them(oci: Command, started: None, user: str, expected: str) -> None:
    """CVE-2026-30892, CVE-2024-40635: a spelling that is misread must not become root."""
    done = oci("exec", f"--user={user}", "box", "sh", "-c", "echo $(id -u) $(id -g) $(id -G | tr ' ' ,)", ok=False)
    assert expected in (done.stdout if expected[0].isdigit() else done.stderr)
    assert done.returncode == (0 if expected[0].isdigit() else 1)


@pytest.fixture
def started(oci: Command) -> None:
    oci.start(make_spec("sleep", "60"))


def test_a_plain_spec_gives_its_user_a_home(oci: Command) -> None:
    for user, home in (({"uid": 2000, "gid": 10}, "/home/app"), ({"uid": 999}, "/"), ({}, "/root")):
        spec = shell("echo $HOME", user=user)
        del spec["process"]["x-user"]
        assert run(oci, spec).stdout == f"{home}\n"
    spec = shell("echo $HOME")
    del spec["process"]["x-user"]
    spec["process"]["env"].append("HOME=/given")
    assert run(oci, spec).stdout == "/given\n"


def test_an_exec_sees_the_clocks_of_the_container(oci: Command) -> None:
    spec = make_spec("sleep", "60")
    spec["linux"]["namespaces"].append({"type": "time"})
    spec["linux"]["timeOffsets"] = {"boottime": {"secs": 10_000_000}}
    oci.start(spec)
    assert float(oci("exec", "box", "cut", "-d ", "-f1", "/proc/uptime").stdout) > 10_000_000


def test_a_user_namespace_through_every_verb(oci: Command) -> None:
    for name in ("proc", "sys", "dev", "usr"):
        (oci.bundle.rootfs / name).mkdir()
    spec = make_spec("sleep", "60")
    spec["linux"]["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": 100_000, "size": 65_536}]
    spec["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    pid = oci.start(spec)["pid"]
    assert os.stat(f"/proc/{pid}").st_uid == 100_000
    assert oci("exec", "box", "cat", "/proc/self/uid_map").stdout.split() == ["0", "100000", "65536"]
    assert oci("exec", "-u", "app", "box", "id", "-u").stdout == "2000\n"
    oci("pause", "box")
    oci("resume", "box")
    oci("kill", "box", "KILL")
    oci.wait("stopped")


def test_a_root_of_its_own_programs_below_an_overlay(oci: Command) -> None:
    for name in ("upper", "work", "merged"):
        (oci.bundle.directory / name).mkdir()
    spec = make_spec("/bin/sh", "-c", "id -u; touch /made; ls /; cat /proc/mounts")
    spec["mounts"] = [entry for entry in spec["mounts"] if entry["destination"] != "/usr"]
    spec["process"]["env"] = ["PATH=/bin"]
    spec["root"] = {"path": "merged"}
    spec["x-rootfs"] = {
        "type": "overlay",
        "lowerdir": [str(tiny_rootfs())],
        "upperdir": str(oci.bundle.directory / "upper"),
        "workdir": str(oci.bundle.directory / "work"),
    }
    done = run(oci, spec)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "0"
    assert "made" in lines
    assert any(line.startswith("overlay / overlay rw,relatime") for line in lines)
    assert (oci.bundle.directory / "upper/made").exists()
    assert not (tiny_rootfs() / "made").exists()


@pytest.mark.parametrize("number", [0, 9])
def test_an_exec_cannot_work_in_a_descriptor_of_the_command(oci: Command, number: int) -> None:
    """CVE-2024-21626."""
    oci.start(make_spec("sleep", "60"))
    host = [os.open("/", os.O_RDONLY) for _ in range(10)]
    done = oci("exec", "--cwd", f"/proc/self/fd/{host[number]}", "box", "pwd", ok=False, pass_fds=host)
    for fd in host:
        os.close(fd)
    assert done.returncode in {126, 127}
    assert done.stdout == ""


def test_a_process_file_of_another_form_is_named(oci: Command, tmp_path: Path) -> None:
    oci.start(make_spec("sleep", "60"))
    (tmp_path / "process").write_text(json.dumps({"args": "true"}))
    done = oci("exec", "--process", str(tmp_path / "process"), "box", ok=False)
    assert done.stderr == f"pycompose oci: {tmp_path}/process.args: 'true' is not a list\n"
