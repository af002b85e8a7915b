"""What a shim answers reaches whoever asked it."""

from __future__ import annotations

import asyncio

import pytest

from runtime.engine.shimlink import ShimLink
from runtime.errors import InvalidParameter
from runtime.wire import seqpacket

ERROR = InvalidParameter("fetch: malformed").to_wire()


@pytest.mark.parametrize("request_name", ["hello", "fetch"])
def test_the_error_of_a_request_is_raised_to_who_waits_for_its_answer(request_name):
    async def asked():
        ours, theirs = seqpacket.pair()
        reports = []
        link = ShimLink(ours, reports.append, lambda: None)
        with theirs:
            asking = asyncio.create_task(getattr(link, request_name)())
            await asyncio.sleep(0)
            seqpacket.send(theirs, {"type": "error", "request": request_name, "error": ERROR})
            with pytest.raises(InvalidParameter, match="malformed"):
                await asking
            link.close()
        assert reports == []

    asyncio.run(asked())


def test_the_error_of_a_request_that_nobody_waits_for_is_reported():
    async def told():
        ours, theirs = seqpacket.pair()
        reports = asyncio.Queue()
        link = ShimLink(ours, reports.put_nowait, lambda: None)
        with theirs:
            link.kill(15)
            message = {"type": "error", "request": "kill", "error": ERROR}
            seqpacket.send(theirs, message)
            assert await asyncio.wait_for(reports.get(), 5) == message
            link.close()

    asyncio.run(told())
