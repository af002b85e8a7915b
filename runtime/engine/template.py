"""The engine's side of the template that forks workers: started when there is a job, retired when there was none for a while.

Answers come in the order of requests; between them the template tells which workers have ended. A template that died is
replaced by the next job. Its workers go on: they are then watched by their pidfds, and only exit codes are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from runtime.engine.channel import Channel
from runtime.errors import SystemFailure
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Mapping

LINGER: Final = {"build_image": 300.0, "empty_trash": 0.0, "remove_tree": 0.0, "measure_trees": 0.0}
"""Seconds that the template waits for the next job after one: who builds once builds again, and deleting is not waited for."""
LINGER_ELSE: Final = 5.0
_ATTEMPTS: Final = 2


class Worker:
    """One forked worker. `close` is to be called once."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int | None] = self._loop.create_future()

    async def wait(self) -> int | None:
        """Its exit code, negative for a signal; None if nobody knows."""
        return await asyncio.shield(self._ended)

    async def end(self, grace: float) -> None:
        """Kill it, with `grace` only if it did not end within so many seconds of SIGTERM, and wait for its end."""
        if grace and not self._ended.done():
            self._signal(signal.SIGTERM)
        await self.expect(grace)

    async def expect(self, seconds: float) -> None:
        """Wait for its end, and kill it if that has not come within so many seconds."""
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), seconds)
        if not self._ended.done():
            self._signal(signal.SIGKILL)
        await self.wait()

    def ended(self, code: int | None) -> None:
        """It has ended."""
        if not self._ended.done():
            self._ended.set_result(code)

    def orphaned(self) -> None:
        """Nobody else will tell of its end."""
        if not self._ended.done():
            self._loop.add_reader(self._pidfd, self._gone)

    def close(self) -> None:
        """Let go of it."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)

    def _gone(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.ended(None)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)


class Template:
    """The template of one engine, if it runs."""

    def __init__(self) -> None:
        self._starting = asyncio.Lock()
        self._channel: Channel | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._workers: dict[int, Worker] = {}
        self._linger = 0.0
        """When it may go at the earliest, in the loop's time."""
        self._timer: asyncio.TimerHandle | None = None

    async def spawn(self, job: str, request: int, events: int, fds: Mapping[str, int]) -> Worker:
        """A worker for `job` that reads its request from one pipe and writes events to another, and has `fds` as well.

        It does nothing before it has read its request. Raises SystemFailure if no template lives long enough.
        """
        loop = asyncio.get_running_loop()
        for _ in range(_ATTEMPTS):
            channel = await self._running()
            if self._timer is not None:
                self._timer.cancel()
            answer: asyncio.Future[Worker] = loop.create_future()
            try:
                channel.send({"job": job, "fds": list(fds)}, [request, events, *fds.values()])
                self._waiting.append(answer)
                return await answer
            except ConnectionError:
                continue  # it died: no worker has got a request from us, so one can be asked for again
        raise SystemFailure(f"worker {job}: the process that starts workers died, see the engine's log")

    def rest(self, job: str) -> None:
        """A worker for `job` is done with: the template goes after a while if it was the last."""
        loop = asyncio.get_running_loop()
        self._linger = max(self._linger, loop.time() + LINGER.get(job, LINGER_ELSE))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._linger, self._retire)

    async def _running(self) -> Channel:
        async with self._starting:
            if self._channel is None or self._channel.closed:
                ours, theirs = seqpacket.pair()
                with theirs:
                    self._process = await asyncio.create_subprocess_exec(
                        sys.executable,
                        "-m",
                        "runtime.worker",
                        str(theirs.fileno()),
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=asyncio.subprocess.DEVNULL,
                        pass_fds=(theirs.fileno(),),
                    )
                self._channel = Channel(ours, self._heard, self._lost)
            return self._channel

    def _heard(self, message: dict[str, Any], fds: list[int]) -> None:
        if "ended" in message:
            worker = self._workers.pop(int(message["ended"]), None)
            if worker is not None:
                worker.ended(int(message["code"]))
            return
        answer = self._waiting.popleft()
        worker = Worker(int(message["pid"]), fds[0])
        if answer.done():
            worker.close()  # who wanted it has left: it will find no request, and end
            return
        self._workers[worker.pid] = worker
        answer.set_result(worker)

    def _lost(self) -> None:
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(ConnectionError("the template is gone"))
        self._waiting.clear()
        for worker in self._workers.values():
            worker.orphaned()
        self._workers.clear()

    def _retire(self) -> None:
        if self._channel is not None and not self._workers and not self._waiting:
            self._channel.close()
