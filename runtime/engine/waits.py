"""Waiting for a container to become what a plan needs it to be, and saying meanwhile why it is not yet.

Level-triggered: the state is looked at, then any change of it is awaited; no polling, no event that can be missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.errors import Conflict, NotFound, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engine.container import Container
    from runtime.engine.engine import Engine


STEADY = 0.5
"""Seconds that a container without a probe must have run to count as running: long enough for a command that dies at
once to be seen, and what Docker Compose's poll amounts to."""


ENDED = frozenset({"exited", "restarting", "removing", "dead"})


async def wait_for(engine: Engine, args: dict[str, Any], waiting: Callable[[str], None]) -> tuple[str, int | None]:
    """Wait until all of `args["Containers"]` meet `args["Condition"]`; the text says how, the number is an exit code.

    Raises SystemFailure when the condition cannot be met any more, or not within `args["Timeout"]` seconds.
    """
    containers = [engine.container(name) for name in args["Containers"]]
    check = CONDITIONS[args["Condition"]]
    timeout = args.get("Timeout") or None
    try:
        async with asyncio.timeout(timeout):
            results = [await _met(container, check, args, waiting) for container in containers]
    except TimeoutError:
        reasons = [_reason(container) for container in containers if check(container, args) is None]
        raise SystemFailure(f"application not healthy after {timeout:g}s: {'; '.join(reasons)}") from None
    codes = [code for _, code in results if code is not None]
    return results[-1][0] if results else "", codes[0] if codes else None


async def _met(
    container: Container,
    check: Callable[[Container, dict[str, Any]], tuple[str, int | None] | None],
    args: dict[str, Any],
    waiting: Callable[[str], None],
) -> tuple[str, int | None]:
    told = ""
    while True:
        if container.gone and args["Condition"] != "exited":
            raise NotFound(f"container {container.record.name} was removed while {args.get('Service', 'it')} waited")
        result = check(container, args)
        if result is not None:
            return result
        reason = _reason(container)
        if reason != told:
            waiting(reason)
            told = reason
        try:
            # A container without a probe becomes steady without any event.
            await asyncio.wait_for(container.changed(), STEADY if container.health is None else None)
        except TimeoutError:
            continue


def _started(container: Container, args: dict[str, Any]) -> tuple[str, int | None] | None:
    return ("Started", None) if container.running else None


def _healthy(container: Container, args: dict[str, Any]) -> tuple[str, int | None] | None:
    name = container.record.name
    health = container.health
    if container.record.status in {"exited", "dead"}:
        raise SystemFailure(
            f"dependency failed to start: container {name} exited ({container.record.exit_code})",
            service=args.get("Service"),
        )
    if not container.running or health is None:
        if container.running and health is None:
            raise Conflict(f"container {name} has no healthcheck configured")
        return None
    if health.status == "unhealthy":
        raise SystemFailure(f"dependency failed to start: container {name} is unhealthy{_last_output(container)}")
    return ("Healthy", None) if health.status == "healthy" else None


def _completed(container: Container, args: dict[str, Any]) -> tuple[str, int | None] | None:
    record = container.record
    if record.status != "exited":
        return None
    if record.exit_code != 0:
        service = args.get("Service") or record.name
        raise SystemFailure(
            f'service "{service}" didn\'t complete successfully: exit {record.exit_code}', exit_code=record.exit_code
        )
    return "Exited", 0


def _exited(container: Container, args: dict[str, Any]) -> tuple[str, int | None] | None:
    return ("Exited", container.record.exit_code) if container.record.status in ENDED else None


def _running_or_healthy(container: Container, args: dict[str, Any]) -> tuple[str, int | None] | None:
    if container.running and container.health is None:
        return ("Healthy", None) if container.uptime() >= STEADY else None
    if container.record.status in {"exited", "dead"}:
        raise SystemFailure(
            f"container {container.record.name} exited ({container.record.exit_code})",
            exit_code=container.record.exit_code,
        )
    if container.running and container.health is not None and container.health.status == "unhealthy":
        raise SystemFailure(f"container {container.record.name} is unhealthy{_last_output(container)}")
    return _healthy(container, args)


CONDITIONS: dict[str, Callable[[Container, dict[str, Any]], tuple[str, int | None] | None]] = {
    "started": _started,
    "healthy": _healthy,
    "completed": _completed,
    "exited": _exited,
    "running_or_healthy": _running_or_healthy,
}


def _reason(container: Container) -> str:
    record = container.record
    if not container.running:
        return f"{record.name} is {record.status}" + (f": {record.error}" if record.error else "")
    if container.health is None:
        return f"{record.name} is running"
    return f"{record.name} is {container.health.status}{_last_output(container)}"


def _last_output(container: Container) -> str:
    if container.health is None:
        return ""
    last = container.health.last_result()
    if last is None:
        return ""
    output = " ".join(last["Output"].split())[:200]
    return f": probe exited {last['ExitCode']}" + (f": {output}" if output else "")
