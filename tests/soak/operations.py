"""What users and accidents do to a project, as a table; each may leave it in any state, but must end and never crash.

An operation knows nothing of the state it finds: containers may be down, the engine may have been killed a moment ago.
"""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tests.kit import machine
from tests.soak.projects import Project, one_of, signal_process

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

ANY: tuple[int, ...] = ()
"""Exit codes: the command may fail, for what it is told to work on may not be there."""
READER_GONE = 141
MOMENT = 0.3


class Operation(NamedTuple):
    """One thing that can happen."""

    weight: int
    act: Callable[[Project, random.Random], None]


def up(project: Project, chance: random.Random) -> None:
    project.do("up", "-d", *chance.choice([(), ("--force-recreate",), ("--wait",)]))


def down(project: Project, chance: random.Random) -> None:
    project.do("down", "-t", "1", *chance.choice([(), ("-v",)]))


def scale(project: Project, chance: random.Random) -> None:
    project.scale[chance.choice(["web", "talker"])] = chance.randint(1, 4)
    project.save()
    project.do("up", "-d")


def edit(project: Project, chance: random.Random) -> None:
    project.edition += 1
    project.save()
    project.do("up", "-d")


def restart(project: Project, chance: random.Random) -> None:
    project.do("restart", "-t", "1", chance.choice(["web", "client", "talker"]), codes=ANY)


def stop(project: Project, chance: random.Random) -> None:
    project.do("stop", "-t", "1", chance.choice(["web", "client", "talker"]), codes=ANY)


def pause(project: Project, chance: random.Random) -> None:
    project.do("pause", "talker", codes=ANY)
    if chance.random() < 0.7:
        project.do("unpause", "talker", codes=ANY)


def all_at_once(project: Project, chance: random.Random) -> None:
    """Commands that contradict each other; each must end well."""
    commands = [("up", "-d"), ("down", "-t", "1"), ("up", "-d", "--force-recreate"), ("up", "-d", "--scale", "web=2")]
    chance.shuffle(commands)
    with ThreadPoolExecutor(len(commands)) as pool:
        for done in [pool.submit(project.do, *command) for command in commands]:
            done.result()


def interrupted_up(project: Project, chance: random.Random) -> None:
    """Ctrl-C, or the terminal's end, at any moment of an attached or detached `up`."""
    options = chance.choice([("-d", "--force-recreate"), (), ("-d", "--wait")])
    command = project.start("up", *options)
    time.sleep(chance.random())
    command.send_signal(chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]))
    _finish(command)


def one_off(project: Project, chance: random.Random) -> None:
    project.do("run", "--rm", "--no-deps", "-T", "client", "sh", "-c", "exit 7", codes=(7,))


def kill_engine(project: Project, chance: random.Random) -> None:
    signal_process(project.status()["Pid"], signal.SIGKILL)
    if chance.random() < 0.5:
        project.do("up", "-d")


def kill_zygote(project: Project, chance: random.Random) -> None:
    signal_process(project.status()["Zygote"], signal.SIGKILL)


def kill_both(project: Project, chance: random.Random) -> None:
    status = project.status()
    for name in chance.sample(["Pid", "Zygote"], 2):
        signal_process(status[name], signal.SIGKILL)
    project.do("ps")


def kill_init(project: Project, chance: random.Random) -> None:
    victim = one_of(chance, project.of(chance.choice(["web", "talker", "client"])))
    if victim is not None:
        signal_process(victim["State"]["Pid"], signal.SIGKILL)


def kill_shim(project: Project, chance: random.Random) -> None:
    victim = one_of(chance, project.of(chance.choice(["web", "talker"])))
    if victim is None:
        return
    try:
        with open(f"/proc/{victim['State']['Pid']}/status", encoding="ascii") as stream:
            parent = next(int(line.split()[1]) for line in stream if line.startswith("PPid:"))
    except (FileNotFoundError, ProcessLookupError):
        return
    if parent > 1:
        signal_process(parent, signal.SIGKILL)


def kill_warm(project: Project, chance: random.Random) -> None:
    for line in machine.processes(f"compose.cli.warm {project.root}/run"):
        signal_process(int(line.split()[0]), signal.SIGKILL)


def networks(project: Project, chance: random.Random) -> None:
    victim = one_of(chance, project.of("client"))
    if victim is None:
        return
    name = f"{project.project}_front"
    project.do("network", "connect", name, victim["Name"][1:], codes=ANY)
    project.do("network", "disconnect", name, victim["Name"][1:], codes=ANY)


def logs_reader_leaves(project: Project, chance: random.Random) -> None:
    command = project.start("logs", "-f")
    time.sleep(chance.random() * MOMENT)
    assert command.stdout is not None
    command.stdout.close()
    time.sleep(MOMENT)  # the next line meets the closed pipe
    command.send_signal(signal.SIGTERM)
    _finish(command)


def exec_storm(project: Project, chance: random.Random) -> None:
    """Twenty processes enter at once; each gives its exit code if the container ran all the time."""
    if not project.of("client"):
        return
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            pool.submit(project.do, "exec", "-T", "client", "sh", "-c", f"exit {number}", codes=(number, 1))


def exec_that_is_left(project: Project, chance: random.Random) -> None:
    command = project.start("exec", "-T", "talker", "sleep", "30")
    time.sleep(chance.random() * MOMENT)
    command.send_signal(chance.choice([signal.SIGINT, signal.SIGKILL]))
    _finish(command)


def health_flap(project: Project, chance: random.Random) -> None:
    project.do("exec", "-T", "web", "touch", "/tmp/sick", codes=ANY)
    time.sleep(chance.random())
    project.do("exec", "-T", "web", "rm", "-f", "/tmp/sick", codes=ANY)


def watch_edit(project: Project, chance: random.Random) -> None:
    command = project.start("watch", "--no-up")
    for number in range(5):
        time.sleep(MOMENT / 2)
        project.write("watched/file", f"{number}")
    command.send_signal(signal.SIGINT)
    _finish(command)


def _finish(command: subprocess.Popen[str]) -> None:
    """Wait for a command in the background; it must end, and not by a fault of ours."""
    try:
        _, said = command.communicate(timeout=30) if not _is_closed(command) else ("", _rest(command))
    except subprocess.TimeoutExpired:
        command.kill()
        raise AssertionError(f"{command.args} does not end") from None
    assert "Traceback" not in said, said
    assert "pycompose: unexpected" not in said, said


def _is_closed(command: subprocess.Popen[str]) -> bool:
    return command.stdout is not None and command.stdout.closed


def _rest(command: subprocess.Popen[str]) -> str:
    command.wait(timeout=30)
    with command.stderr or open("/dev/null", encoding="ascii") as stream:
        return stream.read()


OPERATIONS = {
    "up": Operation(4, up),
    "down": Operation(3, down),
    "scale": Operation(4, scale),
    "edit": Operation(3, edit),
    "restart": Operation(2, restart),
    "stop": Operation(2, stop),
    "pause": Operation(1, pause),
    "all at once": Operation(2, all_at_once),
    "interrupted up": Operation(3, interrupted_up),
    "one-off": Operation(2, one_off),
    "kill engine": Operation(2, kill_engine),
    "kill zygote": Operation(1, kill_zygote),
    "kill both": Operation(1, kill_both),
    "kill init": Operation(3, kill_init),
    "kill shim": Operation(2, kill_shim),
    "kill warm": Operation(1, kill_warm),
    "networks": Operation(2, networks),
    "logs, reader leaves": Operation(2, logs_reader_leaves),
    "exec storm": Operation(2, exec_storm),
    "exec that is left": Operation(2, exec_that_is_left),
    "health flap": Operation(2, health_flap),
    "watch edit": Operation(2, watch_edit),
}
