"""Probes a container for as long as it runs and moves its health along.

When to probe and what a result means is decided by runtime.supervise.health; here are the clock, the shim that runs
the probe under its own time-out, and who has to be told.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from runtime.engine import creation
from runtime.engine.clock import now_rfc3339
from runtime.engine.log import log
from runtime.errors import EngineError, Unavailable
from runtime.supervise import health

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.wire.containers import Health, HealthResult


class HealthMonitor:
    """The probe loop of one run of a container."""

    def __init__(self, engine: Engine, container: Container, policy: health.HealthPolicy) -> None:
        self._engine = engine
        self._container = container
        self._policy = policy
        self._state = health.HealthState()
        self._started = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._probe_for_ever())

    @property
    def status(self) -> str:
        return self._state.status

    def last_result(self) -> HealthResult | None:
        return self._state.log[-1] if self._state.log else None

    def to_wire(self) -> Health:
        return self._state.to_wire()

    def stop(self) -> None:
        self._task.cancel()

    async def _probe_for_ever(self) -> None:
        while True:
            await asyncio.sleep(
                health.next_delay(self._policy, self._state, started=self._started, now=time.monotonic())
            )
            while self._container.record.status == "paused":
                await self._container.changed()
            probed = time.monotonic()
            try:
                result = await self._probe()
            except (Unavailable, asyncio.CancelledError):
                return  # the run is over
            before = self._state
            self._state = health.on_result(self._policy, before, result, started=self._started, probed=probed)
            self._tell(before.status, result)

    async def _probe(self) -> HealthResult:
        run = self._container.run
        if run is None or run.link is None:
            raise Unavailable("the run is over")
        start = now_rfc3339()
        try:
            process = creation.probe_process(self._engine, self._container.record, list(self._policy.command))
            answer = await run.link.probe(os.urandom(8).hex(), process, self._policy.timeout, health.MAX_OUTPUT)
        except Unavailable:
            raise
        except EngineError as error:
            answer = {"exit_code": health.TIMED_OUT, "output": error.message}
        return health.make_result(
            self._policy,
            start=answer.get("start") or start,
            end=answer.get("end") or now_rfc3339(),
            exit_code=int(answer["exit_code"]),
            output=answer.get("output", ""),
            truncated=bool(answer.get("truncated")),
            timed_out=bool(answer.get("timed_out")),
        )

    def _tell(self, before: str, result: HealthResult) -> None:
        container = self._container
        if self._state.status != before:
            if self._state.status == "unhealthy":
                log.warning("container %s is unhealthy: probe exited %d", container.record.name, result["ExitCode"])
            container.tell(f"health_status: {self._state.status}")
            self._engine.ports.health_changed(container)
        container.notify()
