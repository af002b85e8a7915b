"""POST /v1/plan: a plan in, its events out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

from runtime.errors import InvalidParameter
from runtime.wire.plan import LAST

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine
    from runtime.wire.plan import Plan, PlanEvent


async def submit(engine: Engine, request: Request) -> None:
    """Execute the plan of the body; the stream's last event is `finished`, or `stale` if nothing was done.

    A client that closes the connection cancels what has not begun.
    """
    plan = request.json()
    if not isinstance(plan, dict) or not isinstance(plan.get("operations"), list) or "project" not in plan:
        raise InvalidParameter("plan: expected an object with project and operations")
    gone = asyncio.Event()
    queue: asyncio.Queue[PlanEvent | None] = asyncio.Queue()
    execution = asyncio.ensure_future(engine.executor.execute(cast("Plan", plan), queue.put_nowait, gone))
    execution.add_done_callback(lambda _: queue.put_nowait(None))
    watching = asyncio.ensure_future(request.connection.wait_closed_by_client())
    watching.add_done_callback(lambda _: gone.set())
    began = False
    try:
        while True:
            found = [await queue.get()]
            while not queue.empty():
                found.append(queue.get_nowait())
            events = [event for event in found if event is not None]
            if events and not began:
                began = True
                await request.begin_stream()
            if events:
                await request.write("".join([f"{json.dumps(event)}\n" for event in events]).encode())
            if found[-1] is None or found[-1]["status"] in LAST:
                break
        await execution  # raises what made the plan unacceptable
        await request.end_stream()
    except ConnectionError:
        gone.set()
        await execution
    finally:
        watching.cancel()
