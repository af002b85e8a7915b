"""Worker processes: exec'd for a job, its events read line by line, killed when nobody wants the result any more.

The engine never hashes, unpacks or walks a tree itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from runtime.engine.log import log
from runtime.errors import SystemFailure, from_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.paths import Paths

LINE_LIMIT = 16 << 20
SWEEP_DELAY = 0.5
"""Seconds that removed trees are collected before one worker deletes them all."""


class Workers:
    """Starts workers and sees them end."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._running: set[asyncio.subprocess.Process] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._sweep_again = False

    async def run(self, job: str, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The events of a job, the last of status `finished`; raises the EngineError that the job failed with."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runtime.worker",
            job,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        self._running.add(process)
        try:
            if process.stdin is None or process.stdout is None:
                raise SystemFailure(f"worker {job}: no pipes")
            process.stdin.write(json.dumps({"root": self.paths.root, "run": self.paths.run, **request}).encode())
            process.stdin.close()
            async for line in process.stdout:
                event = json.loads(line)
                if event["status"] == "failed":
                    raise from_wire(event["error"])
                yield event
                if event["status"] == "finished":
                    return
            raise SystemFailure(f"worker {job} ended without a result (exit code {await process.wait()})")
        finally:
            if process.returncode is None:
                try:
                    process.kill()
                except ProcessLookupError:
                    pass
            await process.wait()
            self._running.discard(process)

    def sweep(self) -> None:
        """Have the trash deleted soon, by one worker for all that fell in meanwhile."""
        self._sweep_again = True
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def settle(self) -> None:
        """Wait until the trash is empty; kill nothing."""
        if self._sweeping is not None and not self._sweeping.done():
            await self._sweeping

    async def _sweep(self) -> None:
        while self._sweep_again:
            await asyncio.sleep(SWEEP_DELAY)
            self._sweep_again = False
            try:
                async for _ in self.run("empty_trash", {}):
                    pass
            except SystemFailure as error:
                log.warning("removed containers could not be deleted from disk: %s", error)
