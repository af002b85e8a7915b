"""A run that ends in the very moment in which a new engine takes it over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from unittest.mock import AsyncMock, MagicMock

from runtime.engine.container import Container
from runtime.engine.records import ContainerRecord


def adopt(run: SimpleNamespace) -> ContainerRecord:
    """The record of a container that an earlier engine left running, after `run` was adopted."""
    record = ContainerRecord(
        id="1" * 64, name="a", created="", image="", config={}, host_config={}, status="running", boot_id="this boot"
    )
    engine = MagicMock(
        boot_id="this boot",
        sandboxes=SimpleNamespace(release=AsyncMock()),
        store=SimpleNamespace(write_container=AsyncMock(), note_container=AsyncMock()),
    )
    engine.ports.publish = AsyncMock()

    async def taken_over() -> None:
        container = Container(engine, record)
        await container.adopt(run)
        await container.close()

    asyncio.run(taken_over())
    return record


def run_of(*, exited: dict | None, alive: bool, found: dict | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        exited=exited,
        alive=alive,
        init_pid=7,
        init_start=1,
        finish=MagicMock(),
        leave=MagicMock(),
        end_orphan=AsyncMock(return_value=found),
    )


def test_an_exit_that_was_reported_meanwhile_is_not_lost() -> None:
    report = {"exit_code": 42, "oom": False, "at": "2026-01-01T00:00:00Z"}
    record = adopt(run_of(exited=report, alive=True))
    assert (record.status, record.exit_code, record.finished_at) == ("exited", 42, report["at"])


def test_a_shim_that_was_killed_meanwhile_takes_its_container_along() -> None:
    found = {"exit_code": 137, "oom": False, "at": "2026-01-01T00:00:00Z"}
    run = run_of(exited=None, alive=False, found=found)
    record = adopt(run)
    assert (record.status, record.exit_code) == ("exited", 137)
    run.end_orphan.assert_awaited_once()


def test_what_runs_goes_on() -> None:
    assert adopt(run_of(exited=None, alive=True)).status == "running"
