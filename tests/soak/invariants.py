"""What must be true whatever was done: with every project up again, and with nothing up at all."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kit import machine
from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.projects import Project

SERVICE = "com.docker.compose.service"
RESOLVE = "import socket; print(*sorted({entry[4][0] for entry in socket.getaddrinfo('web', 1, socket.AF_INET)}))"
PATIENCE = 20.0
"""Seconds; a restart policy's back-off after several kills, on a busy machine."""
OURS = ("runtime.daemon", "runtime.shim.zygote", "compose.cli.warm")
"""Processes that stay while no container runs."""


def as_desired(project: Project) -> None:
    """What the file says runs, healthy where it says so, and nothing else."""

    def look() -> bool:
        found = project.found()
        counts = Counter(each["Config"]["Labels"][SERVICE] for each in found)
        states = {each["State"]["Status"] for each in found}
        healths = {(each["State"].get("Health") or {}).get("Status", "healthy") for each in found}
        seen.update(counts=counts, states=states, healths=healths)
        return (
            {f"{name}x{count}" for name, count in counts.items()} == project.wanted()
            and states == {"running"}
            and healths == {"healthy"}
        )

    seen: dict[str, Any] = {}
    try:
        poll(look, PATIENCE)
    except AssertionError:
        raise AssertionError(f"{project.project}: wanted {project.wanted()}, found {seen}") from None


def nothing_left_to_do(project: Project) -> None:
    """One more `up` has an empty plan."""
    plan = project.do("up", "-d", "--dry-run").stdout
    assert plan == "", f"{project.project}: after `up -d` there is still to do:\n{plan}"


def processes_agree(project: Project) -> None:
    """Each pid lives in its container's cgroup, and `ps` tells the same containers."""
    found = project.found()
    for each in found:
        lines = Path(f"/proc/{each['State']['Pid']}/cgroup").read_text()
        assert each["Id"] in lines, f"{each['Name']}: pid {each['State']['Pid']} is not in its cgroup: {lines}"
    listed = set(project.do("ps", "-q", "--no-trunc").stdout.split())
    assert listed == {each["Id"] for each in found}, f"{project.project}: ps lists {listed}"


def names_resolve(project: Project) -> None:
    """The client sees exactly the addresses of the replicas that are up."""

    def look() -> bool:
        said = project.do("exec", "-T", "client", "python3", "-c", RESOLVE, codes=())
        networks = [each["NetworkSettings"]["Networks"] for each in project.of("web")]
        wanted = sorted(each[f"{project.project}_back"]["IPAddress"] for each in networks)
        seen[:] = [said.stdout.split(), wanted, said.stderr]
        return said.stdout.split() == wanted

    seen: list[Any] = []
    try:
        poll(look, PATIENCE)
    except AssertionError:
        raise AssertionError(f"{project.project}: names resolve to {seen[0]}, wanted {seen[1]}: {seen[2]}") from None


def port_answers(project: Project) -> None:
    """Every one of several connections to the published port is served."""
    for _ in range(5):
        assert project.http(project.port), f"{project.project}: port {project.port}"


UP: tuple[Callable[[Project], None], ...] = (
    as_desired,
    nothing_left_to_do,
    processes_agree,
    names_resolve,
    port_answers,
)


def nothing_is_left(project: Project) -> None:
    """With no container the machine has only the engine, its zygote and the warm command line."""
    identity = project.engine_id()

    def left() -> dict[str, list[str]]:
        found = {
            "processes": [line for line in machine.processes(str(project.root)) if not any(o in line for o in OURS)],
            "mounts": machine.mounts(str(project.root)),
            "links": machine.links(f"pyc{identity[:4]}") + machine.links(f"pyv{identity[:4]}"),
            "cgroups": [path for path in machine.cgroups(identity) if _containers(path)],
            "records": os.listdir(project.root / "data/containers"),
        }
        return {kind: items for kind, items in found.items() if items}

    try:
        poll(lambda: not left(), PATIENCE)
    except AssertionError:
        raise AssertionError(f"after down there is still {left()}") from None


def log_is_clean(project: Project) -> None:
    """The engine met nothing it had not foreseen."""
    text = (project.root / "data/engine.log").read_text(errors="replace")
    place = text.find("Traceback")
    assert place < 0, f"the engine's log has a traceback:\n{text[max(0, place - 500) : place + 3000]}"


def _containers(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if len(name) == 64]
    except FileNotFoundError:
        return []


class Growth:
    """Descriptors and memory of engine and zygote with nothing up, by process: they may not rise for ever."""

    SETTLED = 2
    """Samples that a fresh process gets to reach its size."""
    DESCRIPTORS = 4
    KILOBYTES = 12_000

    def __init__(self) -> None:
        self.samples: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def sample(self, project: Project) -> None:
        """Note the sizes and compare with the first settled ones. Raises AssertionError."""
        status = project.status()
        for name in ("Pid", "Zygote"):
            pid = int(status[name])
            taken = self.samples.setdefault((name, pid), [])
            taken.append((len(os.listdir(f"/proc/{pid}/fd")), _resident(pid)))
            if len(taken) <= self.SETTLED:
                continue
            (fds, memory), (more_fds, more_memory) = taken[self.SETTLED - 1], taken[-1]
            assert more_fds - fds <= self.DESCRIPTORS, f"{name} {pid}: descriptors {taken}: {_descriptors(pid)}"
            assert more_memory - memory <= self.KILOBYTES, f"{name} {pid}: resident kB {taken}"

    def __str__(self) -> str:
        return "\n".join(f"  {name} {pid}: (fds, kB) {taken}" for (name, pid), taken in self.samples.items())


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _descriptors(pid: int) -> dict[str, int]:
    folder = f"/proc/{pid}/fd"
    return dict(Counter(os.readlink(f"{folder}/{name}").partition("[")[0] for name in os.listdir(folder)))
