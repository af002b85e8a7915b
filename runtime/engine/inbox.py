"""The inbox of an owner: messages are handled one after the other, each to its end, by one task.

A message is a coroutine function. What takes long is a timer that puts a message into the same inbox, and there is one
timer: what was set earlier no longer holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.engine.log import log
from runtime.errors import EngineError, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[], Awaitable[Any]]


class Inbox:
    """Serves from the moment it is made; `owner` names itself in errors and in the log."""

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self._messages: asyncio.Queue[tuple[Handler, asyncio.Future[Any] | None]] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._sealed: EngineError | None = None
        self._task = asyncio.get_running_loop().create_task(self._serve(), name=str(owner))

    async def ask(self, handler: Handler) -> Any:
        """Have a message handled: what it returned. Raises what it raised, or what the inbox was sealed with."""
        if self._sealed is not None:
            raise self._sealed
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._messages.put_nowait((handler, answer))
        return await answer

    def post(self, handler: Handler) -> None:
        """Put a message in without waiting for it to be handled."""
        self._messages.put_nowait((handler, None))

    def post_later(self, seconds: float, handler: Handler) -> None:
        """Put a message in after a while, instead of the one that waits for its time now."""
        self.cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.post, handler)

    def cancel_timer(self) -> None:
        """What waits for its time does not come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def seal(self, reason: EngineError) -> None:
        """The owner is gone: the message under way is the last, whoever asks for another is told the reason."""
        self._sealed = reason
        self.cancel_timer()

    def close(self) -> None:
        """Handle nothing more, at once."""
        self._task.cancel()
        self.cancel_timer()

    async def _serve(self) -> None:
        while self._sealed is None:
            handler, answer = await self._messages.get()
            try:
                result = await handler()
            except EngineError as error:
                self._fail(answer, error)
            except Exception as error:  # the owner must survive any fault of one message
                log.exception("%s", self._owner)
                self._fail(answer, SystemFailure(f"{self._owner}: {error!r}"))
            else:
                if answer is not None and not answer.done():
                    answer.set_result(result)
        while not self._messages.empty():
            _, answer = self._messages.get_nowait()
            if answer is not None:
                self._fail(answer, self._sealed)

    def _fail(self, answer: asyncio.Future[Any] | None, error: EngineError) -> None:
        if answer is None:
            log.error("%s: %s", self._owner, error)
        elif not answer.done():
            answer.set_exception(error)
