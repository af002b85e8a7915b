"""The end of a run: nothing of ours may be left on the machine that was not there before."""

from __future__ import annotations

import signal
import time

import pytest

from tests.kit import machine

PATIENCE = 20.0
"""Seconds: the kernel takes namespaces and their interfaces down in its own time."""
BEFORE = pytest.StashKey[dict[str, set[str]]]()


def ours() -> dict[str, set[str]]:
    """Everything on this machine that carries a mark of ours."""
    return {
        "links": set(machine.links("pyc")) | set(machine.links("pyv")),
        "tables": set(machine.tables("pycompose_")),
        "cgroups": set(machine.cgroups("")),
        "mounts": {line.split()[4] for line in machine.mounts("pyc-")},
        "processes": {
            line for word in ("runtime.daemon", "runtime.shim", "compose.cli.warm") for line in machine.processes(word)
        },
    }


def left(before: dict[str, set[str]]) -> dict[str, set[str]]:
    return {kind: found - before[kind] for kind, found in ours().items() if found - before[kind]}


def pytest_sessionstart(session: pytest.Session) -> None:
    # A runner in the background ignores them, and what a test starts would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(session.config, "workerinput"):
        session.config.stash[BEFORE] = ours()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only where all workers have ended; a leftover fails the run."""
    if hasattr(session.config, "workerinput"):
        return
    deadline = time.monotonic() + PATIENCE
    while (found := left(session.config.stash[BEFORE])) and time.monotonic() < deadline:
        time.sleep(0.1)
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nleft behind on this machine: {found}")
