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
    from collections.abc import AsyncGenerator

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

    async def run(
        self,
        job: str,
        request: dict[str, Any],
        fds: tuple[int, ...] = (),
        *,
        grace: float = 0.0,
        process: asyncio.subprocess.Process | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a job, the last of status `finished`; raises the EngineError that the job failed with.

        `fds`: descriptors that the worker gets under the same numbers. Closing the generator kills the worker,
        with `grace` only after it had so many seconds to end on SIGTERM. `process`: one that `start` made before.
        """
        process = process or await self.start(job, fds)
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
                await _end(process, grace)
            await process.wait()
            self._running.discard(process)

    async def start(self, job: str, fds: tuple[int, ...] = ()) -> asyncio.subprocess.Process:
        """A worker that waits for its request, which is to be given to `run`; it ends when its standard input does."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runtime.worker",
            job,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            pass_fds=fds,
        )

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


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    try:
        if grace:
            process.terminate()
            await asyncio.wait_for(process.wait(), grace)
        else:
            process.kill()
    except TimeoutError:
        process.kill()
    except ProcessLookupError:
        pass
