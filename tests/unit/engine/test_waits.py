"""What a plan waits for, and how it learns that it never comes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.engine.waits import wait_for
from runtime.errors import Conflict, EngineError, SystemFailure


class Fake:
    """A container that changes when told to."""

    def __init__(self, status: str = "running", health: str | None = None, exit_code: int = 0) -> None:
        self.record = SimpleNamespace(name="app-db-1", status=status, exit_code=exit_code, error="")
        self.gone = False
        self.health = None if health is None else SimpleNamespace(status=health, last_result=self.last_result)
        self.output = ""
        self.up = 1.0
        self._event = asyncio.Event()

    def last_result(self) -> dict[str, Any] | None:
        return {"ExitCode": 1, "Output": self.output} if self.output else None

    @property
    def running(self) -> bool:
        return self.record.status in {"running", "paused"}

    def uptime(self) -> float:
        return self.up

    async def changed(self) -> None:
        await self._event.wait()
        self._event.clear()

    def become(self, **changes: Any) -> None:
        for name, value in changes.items():
            if name == "health":
                self.health.status = value
            else:
                setattr(self.record, name, value)
        self._event.set()


def run(
    container: Fake, condition: str, *changes: dict[str, Any], timeout: float | None = None
) -> tuple[Any, list[str]]:
    told: list[str] = []

    async def main() -> Any:
        engine = SimpleNamespace(container=lambda name: container)
        args = {"Containers": ["app-db-1"], "Condition": condition, "Timeout": timeout, "Service": "db"}
        waiting = asyncio.ensure_future(wait_for(engine, args, told.append))
        for change in changes:
            await asyncio.sleep(0.001)
            container.become(**change)
        return await asyncio.wait_for(waiting, 5)

    return asyncio.run(main()), told


def test_healthy_is_met_when_the_probe_says_so_and_the_wait_tells_why_it_waits() -> None:
    container = Fake(health="starting")
    container.output = "not yet\n"
    result, told = run(container, "healthy", {"health": "healthy"})
    assert result == ("Healthy", None)
    assert told == ["app-db-1 is starting: probe exited 1: not yet"]


def test_unhealthy_and_exited_end_the_wait() -> None:
    with pytest.raises(SystemFailure, match="dependency failed to start: container app-db-1 is unhealthy"):
        run(Fake(health="starting"), "healthy", {"health": "unhealthy"})
    with pytest.raises(SystemFailure, match=r"dependency failed to start: container app-db-1 exited \(3\)"):
        run(Fake(health="starting"), "healthy", {"status": "exited", "exit_code": 3})


def test_healthy_without_a_probe_is_an_error() -> None:
    with pytest.raises(Conflict, match="has no healthcheck configured"):
        run(Fake(), "healthy")


def test_completed_waits_for_the_exit_and_judges_its_code() -> None:
    assert run(Fake(), "completed", {"status": "exited"})[0] == ("Exited", 0)
    with pytest.raises(SystemFailure, match='service "db" didn\'t complete successfully: exit 7'):
        run(Fake(), "completed", {"status": "exited", "exit_code": 7})


def test_running_or_healthy() -> None:
    assert run(Fake(), "running_or_healthy")[0] == ("Healthy", None)
    assert run(Fake(health="starting"), "running_or_healthy", {"health": "healthy"})[0] == ("Healthy", None)
    with pytest.raises(EngineError, match=r"exited \(4\)"):
        run(Fake(status="exited", exit_code=4), "running_or_healthy")


def test_a_command_that_dies_at_once_never_counted_as_running() -> None:
    young = Fake()
    young.up = 0.1
    with pytest.raises(SystemFailure, match=r"container app-db-1 exited \(4\)"):
        run(young, "running_or_healthy", {"status": "exited", "exit_code": 4})


def test_a_time_out_names_what_was_missing() -> None:
    with pytest.raises(SystemFailure, match=r"application not healthy after 0.01s: app-db-1 is starting"):
        run(Fake(health="starting"), "healthy", timeout=0.01)
