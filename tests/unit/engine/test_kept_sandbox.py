"""Whose sandbox is kept while it does not run, and until when."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, MagicMock

import pytest

from runtime.engine.container import Container
from runtime.engine.records import ContainerRecord
from runtime.engine.sandboxes import Sandboxes
from runtime.engine.wiring import Sandbox
from runtime.errors import SystemFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ID, OTHER = "1" * 64, "2" * 64


def record(identifier: str = ID, status: str = "running", **host_config: object) -> ContainerRecord:
    return ContainerRecord(
        id=identifier, name="a", created="", image="", config={}, host_config=host_config, status=status
    )


def released(steps: Callable[[Container], Awaitable[None]]) -> int:
    """How often the sandbox of a running container was released by the end of the steps."""
    engine = MagicMock(
        sandboxes=SimpleNamespace(release=AsyncMock()),
        store=SimpleNamespace(write_container=AsyncMock(), note_container=AsyncMock()),
    )

    async def main() -> None:
        container = Container(engine, record())
        run = MagicMock()
        run.signal.side_effect = lambda _: container.post(
            lambda: container.run_ended(run, {"exit_code": 0, "at": "2026-01-01T00:00:00Z"})
        )
        container.run = run
        await steps(container)
        await container.close()

    asyncio.run(main())
    return int(engine.sandboxes.release.await_count)


async def restarted(container: Container) -> None:
    assert await container.stop(keep_sandbox=True)


async def stopped(container: Container) -> None:
    assert await container.stop()


async def restarted_in_vain(container: Container) -> None:
    await restarted(container)
    await container.drop_sandbox()
    await container.drop_sandbox()


async def restarted_then_stopped(container: Container) -> None:
    await restarted(container)
    assert not await container.stop()
    await container.drop_sandbox()


async def restarted_then_removed(container: Container) -> None:
    await restarted(container)
    await container.remove(force=True, volumes=False)
    await container.drop_sandbox()


async def stopped_while_restarted(container: Container) -> None:
    await asyncio.gather(restarted(container), stopped(container))


@pytest.mark.parametrize(
    ("steps", "times"),
    [
        (restarted, 0),
        (stopped, 1),
        (restarted_in_vain, 1),
        (restarted_then_stopped, 1),
        (restarted_then_removed, 1),
        (stopped_while_restarted, 1),
    ],
)
def test_a_sandbox_is_kept_for_a_restart_only_and_let_go_once(
    steps: Callable[[Container], Awaitable[None]], times: int
) -> None:
    assert released(steps) == times


@pytest.mark.parametrize(
    ("answer", "sharer", "host_config", "reused"),
    [
        ({"left": 0}, None, {}, True),
        ({"left": 2}, None, {}, False),
        ({"left": 2}, "running", {}, True),
        ({"left": 2}, "restarting", {}, False),
        (None, None, {}, False),
        (None, "running", {}, True),
        ({"left": 0}, None, {"CapAdd": ["NET_ADMIN"]}, False),
        ({"left": 0}, None, {"Privileged": True}, False),
        ({"left": 0}, "running", {"Privileged": True}, True),
    ],
)
def test_a_sandbox_is_used_again_if_it_is_as_good_as_new_or_others_live_in_it(
    answer: dict[str, int] | None, sharer: str | None, host_config: dict[str, object], reused: bool
) -> None:
    containers = {OTHER: SimpleNamespace(running=sharer == "running")} if sharer else {}
    request = AsyncMock(return_value=(answer, [])) if answer else AsyncMock(side_effect=SystemFailure("no sock_diag"))
    engine = MagicMock(containers=containers, zygote=SimpleNamespace(request=request, drop=AsyncMock()))
    engine.zygote.sandbox = AsyncMock()
    sandboxes = Sandboxes(engine)
    kept = Sandbox(owner=ID, fds={"netns": 7}, users={ID, *containers})
    sandboxes._sandboxes[ID] = kept
    sandboxes._make = AsyncMock(return_value=Sandbox(owner=ID, fds={"netns": 8}))  # type: ignore[method-assign]
    container = MagicMock(record=record(status="exited", NetworkMode="none", **host_config))
    held = asyncio.run(sandboxes.acquire(container))
    assert held == {"netns": 7 if reused else 8}
