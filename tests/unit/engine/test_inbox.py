"""The inbox of an owner: one message at a time, answers, the timer, the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runtime.engine.inbox import Inbox
from runtime.errors import Conflict, NotFound, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def note(log: list[str], text: str, seconds: float = 0.0) -> Callable[[], Awaitable[str]]:
    async def handle() -> str:
        log.append(f"begin {text}")
        await asyncio.sleep(seconds)
        log.append(f"end {text}")
        return text

    return handle


def test_a_message_is_handled_to_its_end_before_the_next_one() -> None:
    log: list[str] = []

    async def main() -> list[str]:
        inbox = Inbox("container a")
        return await asyncio.gather(inbox.ask(note(log, "1", 0.01)), inbox.ask(note(log, "2")))

    assert asyncio.run(main()) == ["1", "2"]
    assert log == ["begin 1", "end 1", "begin 2", "end 2"]


def test_a_refusal_reaches_who_asked_and_a_fault_ends_only_its_message() -> None:
    async def refuse() -> None:
        raise Conflict("it runs")

    async def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        inbox = Inbox("container a")
        with pytest.raises(Conflict, match="it runs"):
            await inbox.ask(refuse)
        with pytest.raises(SystemFailure, match="container a: ZeroDivisionError"):
            await inbox.ask(fail)
        inbox.post(fail)
        assert await inbox.ask(note([], "next")) == "next"

    asyncio.run(main())


def test_only_the_last_timer_holds_and_a_cancelled_one_does_not() -> None:
    log: list[str] = []

    async def main() -> None:
        inbox = Inbox("container a")
        inbox.post_later(0.005, note(log, "first"))
        inbox.post_later(0.01, note(log, "second"))
        await asyncio.sleep(0.03)
        inbox.post_later(0.005, note(log, "third"))
        inbox.cancel_timer()
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert log == ["begin second", "end second"]


def test_who_waits_when_the_owner_goes_and_who_comes_later_are_told() -> None:
    async def main() -> list[object]:
        inbox = Inbox("container a")

        async def go() -> None:
            inbox.seal(NotFound("no such container: a"))

        answers = await asyncio.gather(inbox.ask(go), inbox.ask(note([], "late")), return_exceptions=True)
        with pytest.raises(NotFound, match="no such container: a"):
            await inbox.ask(note([], "later"))
        return answers

    gone, late = asyncio.run(main())
    assert gone is None
    assert isinstance(late, NotFound)
