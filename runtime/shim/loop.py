"""A single-threaded epoll loop with timers: all that zygote and shim wait on.

asyncio would cost 8 MB a process before the first line of ours; this is shared, mostly untouched, memory after a fork.
"""

from __future__ import annotations

import heapq
import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR


class Timer:
    """A pending call; cancel() may be called at any time."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Loop:
    """Callbacks by descriptor and by time (monotonic seconds); run() until stop()."""

    __slots__ = ("_epoll", "_handlers", "_stopped", "_timers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        self._stopped = False

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call handler(events) whenever `fd` is ready; a second watch of one descriptor replaces the first."""
        known = fd in self._handlers
        self._handlers[fd] = handler
        if known:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Change what a watched descriptor is watched for; 0 leaves only hang-up and error."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, to be called before it is closed; unknown is fine."""
        if self._handlers.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass

    def watching(self, fd: int) -> bool:
        return fd in self._handlers

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once after `seconds`."""
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        """Until stop()."""
        while not self._stopped:
            self.step(None)

    def step(self, limit: float | None) -> None:
        """Wait for events or timers, at most `limit` seconds, and handle them."""
        for fd, events in self._epoll.poll(self._patience(limit)):
            # An earlier handler of this round may have dropped the descriptor.
            handler = self._handlers.get(fd)
            if handler is not None:
                _guarded(handler, events)
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            call = heapq.heappop(self._timers).call
            if call is not None:
                _guarded(call)

    def close(self) -> None:
        self._epoll.close()
        self._handlers.clear()
        self._timers.clear()

    def _patience(self, limit: float | None) -> float | None:
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return limit
        left = max(0.0, self._timers[0].when - time.monotonic())
        return left if limit is None else min(left, limit)


def _guarded(call: Callable[..., None], *arguments: int) -> None:
    try:
        call(*arguments)
    except Exception as error:  # one peer's fault must not end the container
        complain(f"{getattr(call, '__qualname__', call)}: {type(error).__name__}: {error}{_where(error)}")


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    places = []
    while trace is not None:
        places.append(f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f" ({' > '.join(places[1:])})" if len(places) > 1 else ""


def complain(text: str) -> None:
    """One line on stderr, the engine's log; never fails."""
    try:
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} shim[{os.getpid()}] {text}\n".encode())
    except OSError:
        pass
