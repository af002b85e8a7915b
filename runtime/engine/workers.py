"""Worker processes: forked for a job, its events read line by line, killed when nobody wants the result any more.

The engine never hashes, unpacks or walks a tree itself.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from runtime.engine.log import log
from runtime.engine.template import Template
from runtime.errors import SystemFailure, from_wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from runtime.engine.template import Worker
    from runtime.paths import Paths

LINE_LIMIT = 16 << 20
EXIT_SECONDS = 10.0
"""A worker that has told of its result gets so long to go."""
SWEEPER = "empty_trash"
SWEEP_DELAY = 0.5
"""Seconds that removed trees are collected before one worker deletes them all."""


class Workers:
    """Starts workers and sees them end."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._template = Template()
        self._leaving: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._sweep_again = False

    async def run(
        self, job: str, request: dict[str, Any], fds: Mapping[str, int] | None = None, *, grace: float = 0.0
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The events of a job, the last of status `finished`; raises the EngineError that the job failed with.

        `fds`: descriptors that the worker gets duplicates of, by the field of the request that is to hold its number.
        Closing the generator kills the worker, with `grace` only after it had so many seconds to end on SIGTERM.
        """
        text = json.dumps({"root": self.paths.root, "run": self.paths.run, **request}).encode()
        reader, transport, worker = await self._start(job, text, fds or {})
        finished = failed = False
        try:
            async for line in reader:
                event = json.loads(line)
                failed = event["status"] == "failed"
                if failed:
                    raise from_wire(event["error"])
                finished = event["status"] == "finished"
                yield event
                if finished:
                    return
            code = await worker.wait()
            how = f"exit code {code}" if code is not None else "nobody knows why"
            raise SystemFailure(f"worker {job} ended without a result ({how})")
        finally:
            transport.close()
            if finished:
                # it has closed everything and is about to go: nobody needs to wait for that
                self._leave(job, worker)
            else:
                await worker.end(grace)
                self._done_with(job, worker)
                if not failed and job != SWEEPER:
                    self.sweep()  # it may have died in the middle, and what it was making lies about

    def _leave(self, job: str, worker: Worker) -> None:
        task = asyncio.get_running_loop().create_task(worker.expect(EXIT_SECONDS))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        task.add_done_callback(lambda _: self._done_with(job, worker))

    def _done_with(self, job: str, worker: Worker) -> None:
        worker.close()
        self._template.rest(job)

    async def _start(
        self, job: str, text: bytes, fds: Mapping[str, int]
    ) -> tuple[asyncio.StreamReader, asyncio.BaseTransport, Worker]:
        """A worker that has its request, and its events."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(LINE_LIMIT)
        its_request, our_request = os.pipe2(os.O_CLOEXEC)
        our_events, its_events = os.pipe2(os.O_CLOEXEC)
        sink, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(our_request, "wb", 0))
        source, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(our_events, "rb", 0)
        )
        try:
            worker = await self._template.spawn(job, its_request, its_events, fds)
        except BaseException:
            source.close()
            self._template.rest(job)
            raise
        else:
            sink.write(text)
            return reader, source, worker
        finally:
            sink.close()
            os.close(its_request)
            os.close(its_events)

    def sweep(self) -> None:
        """Have the trash and what dead workers left deleted soon, by one worker for all that fell in meanwhile."""
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
                async for _ in self.run(SWEEPER, {}):
                    pass
            except SystemFailure as error:
                log.warning("removed containers could not be deleted from disk: %s", error)
