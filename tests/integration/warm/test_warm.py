"""The warm command line gives what a cold one gives, faster; and lets go of everything."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import REPOSITORY, Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

SERVICE = """
    services:
      a: {image: localhost/host, command: sleep 1000, init: true}
"""


@pytest.fixture
def warm(stack: Stack) -> Iterator[Stack]:
    """A running stack whose commands are served warm."""
    stack.compose(SERVICE)
    stack.run("up", "-d")
    stack.environment["PYCOMPOSE_WARM"] = "1"
    stack.run("ps")
    poll(lambda: socket_file(stack).exists(), what="the warm server")
    poll(lambda: server_pids(stack))
    yield stack
    stack.environment["PYCOMPOSE_WARM"] = "0"
    stack.run("down", "-t", "1")


def socket_file(stack: Stack) -> Path:
    return stack.root / "run" / f"cli-{os.geteuid()}.sock"


def processes(stack: Stack) -> list[int]:
    """Servers and their children."""
    done = subprocess.run(
        ["pgrep", "-f", f"compose.cli.warm {stack.root}/run"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in done.stdout.split()]


def server_pids(stack: Stack) -> list[int]:
    found = processes(stack)
    return [pid for pid in found if not any(pid in children(other) for other in found)]


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(child) for child in text.split()]


def leads_a_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def commands(server: int) -> list[int]:
    """Children that run a command: each in a session of its own."""
    return [pid for pid in children(server) if leads_a_session(pid)]


def spares(server: int) -> list[int]:
    """Children that wait for one."""
    return [pid for pid in children(server) if not leads_a_session(pid)]


def waits_for_an_answer(pid: int) -> bool:
    """Whether a front sleeps with a socket of its own; before it has one it does not sleep for long."""
    fds = Path(f"/proc/{pid}/fd")
    connected = any(os.readlink(fd).startswith("socket:") for fd in fds.iterdir() if int(fd.name) > 2)
    return connected and "poll" in Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")


def served(stack: Stack) -> int:
    """A mark that a warm command ran: the server's count of minor faults rises with each fork."""
    (pid,) = server_pids(stack)
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        return int(stream.read().rpartition(")")[2].split()[8])


def served_since(stack: Stack, before: int) -> None:
    """Wait until the server has seen a command end; the front does not wait for that."""
    poll(lambda: served(stack) > before, what="the server had it")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ps", "-a"),
        ("ps", "--format", "json"),
        ("ps", "-q"),
        ("config",),
        ("--progress", "plain", "up", "-d"),
        ("exec", "-T", "a", "sh", "-c", "echo out; echo err >&2; exit 7"),
        ("exec", "-T", "nosuch", "true"),
        ("nosuchcommand",),
        ("ps", "--nosuchflag"),
    ],
)
def test_warm_equals_cold(warm: Stack, arguments: tuple[str, ...]) -> None:
    hot = warm.run(*arguments, ok=False)
    warm.environment["PYCOMPOSE_WARM"] = "0"
    cold = warm.run(*arguments, ok=False)
    if arguments[0] != "ps":
        assert (hot.out, hot.err) == (cold.out, cold.err)
    assert hot.code == cold.code
    assert len(hot.out.splitlines()) == len(cold.out.splitlines())


def test_it_is_really_served_warm(warm: Stack) -> None:
    before = served(warm)
    warm.run("ps")
    served_since(warm, before)


def test_a_child_waits_for_the_next_command_and_runs_it(warm: Stack) -> None:
    (server,) = server_pids(warm)
    (spare,) = poll(lambda: spares(server), what="a child waits")
    follow = warm.start("logs", "-f", "a")
    poll(lambda: commands(server) == [spare], what="it has the command")
    warm.run("ps")  # beside it, by a child that is forked for it
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=10)
    poll(lambda: spares(server), what="another waits")


def test_a_child_that_was_killed_while_it_waited_is_replaced(warm: Stack) -> None:
    (server,) = server_pids(warm)
    (spare,) = poll(lambda: spares(server), what="a child waits")
    os.kill(spare, signal.SIGKILL)
    before = served(warm)
    assert len(warm.run("ps", "-q").out.splitlines()) == 1
    served_since(warm, before)


def test_a_child_that_stands_still_while_it_waited_is_replaced(warm: Stack) -> None:
    (server,) = server_pids(warm)
    (spare,) = poll(lambda: spares(server), what="a child waits")
    os.kill(spare, signal.SIGSTOP)
    poll(lambda: spare not in children(server), timeout=30, what="it had its time")
    assert len(warm.run("ps", "-q").out.splitlines()) == 1


def test_a_front_whose_server_is_killed_ends_and_the_next_command_starts_another(warm: Stack) -> None:
    (server,) = server_pids(warm)
    follow = warm.start("logs", "-f", "a")
    [command] = poll(lambda: commands(server), what="the command runs in the server")
    os.kill(server, signal.SIGKILL)
    _, said = follow.communicate(timeout=20)
    assert (follow.returncode, "ended in the middle" in said) == (1, True)
    poll(lambda: not os.path.exists(f"/proc/{command}"), what="the command ended too")
    warm.run("ps")
    poll(lambda: server not in server_pids(warm) and len(server_pids(warm)) == 1, what="another server")


def test_a_long_command_line_reaches_a_waiting_child(warm: Stack) -> None:
    (server,) = server_pids(warm)
    poll(lambda: spares(server), what="a child waits")
    words = [f"{number:0100}" for number in range(10_000)]
    done = warm.exec("a", "sh", "-c", 'printf "%s" "$*" | cksum; echo $#', "sh", *words)
    assert done.out.splitlines()[1] == "10000"


def test_the_callers_directory_environment_and_stdin_count(warm: Stack) -> None:
    assert warm.exec("a", "cat", stdin="from the caller").out == "from the caller"
    other = warm.write("elsewhere/compose.yaml", "services: {b: {image: 'x:${TAG}'}}")
    done = subprocess.run(
        [sys.executable, "-m", "compose", "config"],
        cwd=other.parent,
        env={**warm.environ(), "TAG": "from-env"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "x:from-env" in done.stdout


def test_ctrl_c_ends_the_command_with_130_and_leaves_no_child(warm: Stack) -> None:
    follow = warm.start("logs", "-f", "a")
    (server,) = server_pids(warm)
    poll(lambda: commands(server), what="the command runs in the server")
    time.sleep(0.3)
    follow.send_signal(signal.SIGINT)
    follow.communicate(timeout=10)
    assert follow.returncode == 130
    poll(lambda: not commands(server), what="the child is gone")


def test_a_killed_front_ends_its_command(warm: Stack) -> None:
    follow = warm.start("logs", "-f", "a")
    (server,) = server_pids(warm)
    poll(lambda: commands(server), what="the command runs in the server")
    follow.kill()
    follow.communicate(timeout=10)
    poll(lambda: not commands(server), what="the child is gone")


def test_a_front_that_is_killed_before_it_is_answered_ends_its_command(warm: Stack) -> None:
    (server,) = server_pids(warm)
    os.kill(server, signal.SIGSTOP)
    follow = warm.start("logs", "-f", "a")
    poll(lambda: waits_for_an_answer(follow.pid), what="the front has sent its request")
    follow.kill()
    os.kill(server, signal.SIGCONT)
    follow.communicate(timeout=10)
    poll(lambda: not commands(server), what="the child is gone")


def test_a_reader_that_leaves_is_no_error(warm: Stack) -> None:
    command = f"{sys.executable} -m compose exec -T a seq 100000 | head -1"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=warm.folder,
        env=warm.environ(),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "1\n"
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_a_terminal_is_a_terminal(warm: Stack) -> None:
    primary, secondary = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "compose", "exec", "a", "sh", "-c", "test -t 0 && test -t 1 && echo yes"],
        cwd=warm.folder,
        env=warm.environ(),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
    )
    os.close(secondary)
    assert running.wait(timeout=20) == 0
    assert b"yes" in os.read(primary, 4096)
    os.close(primary)


def test_it_leaves_with_the_engine(warm: Stack) -> None:
    warm.run("down", "-t", "1")
    warm.run("engine", "stop")
    poll(lambda: not processes(warm), what="the warm server left, and whom it had made")
    assert not socket_file(warm).exists()


def test_it_leaves_when_nobody_comes(stack: Stack) -> None:
    stack.compose(SERVICE)
    stack.run("up", "-d")
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "compose.cli.warm", f"{stack.root}/run", "0.5"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    poll(lambda: socket_file(stack).exists(), what="the warm server")
    assert server.wait(timeout=20) == 0
    assert not socket_file(stack).exists()
    stack.run("down", "-t", "1")


def test_another_code_is_never_run(stack: Stack, tmp_path: Path) -> None:
    """A server whose sources changed answers stale, the command runs cold, and the server goes."""
    import shutil

    copy = tmp_path / "copy"
    for package in ("compose", "runtime", "schemas"):
        shutil.copytree(REPOSITORY / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    stack.compose(SERVICE)
    stack.run("up", "-d")
    environment = {**stack.environ(), "PYTHONPATH": str(copy), "PYCOMPOSE_WARM": "1"}

    def ps() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "compose", "ps", "-q"],
            cwd=stack.folder, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip

    ps()
    poll(lambda: socket_file(stack).exists(), what="the warm server")
    (old,) = server_pids(stack)
    (copy / "compose/errors.py").write_text((copy / "compose/errors.py").read_text() + "\n")
    assert ps().stdout
    poll(lambda: not os.path.exists(f"/proc/{old}"), what="the stale server left")
    stack.run("down", "-t", "1")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_the_null_device_and_no_socket(warm: Stack, closed: str) -> None:
    for _ in range(3):
        before = served(warm)
        ran = subprocess.run(
            ["sh", "-c", f'exec "$0" -m compose ps {closed}', sys.executable],
            cwd=warm.folder,
            env=warm.environ(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        served_since(warm, before)
