"""POST /v1/plan: a plan in, its events out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine
    from runtime.wire.plan import Plan, PlanEvent


async def submit(engine: Engine, request: Request) -> None:
    """Execute the plan of the body; the stream's last event is `finished`.

    A client that closes the connection cancels what has not begun.
    """
    plan = request.json()
    if not isinstance(plan, dict) or not isinstance(plan.get("operations"), list) or "project" not in plan:
        raise InvalidParameter("plan: expected an object with project and operations")
    gone = asyncio.Event()
    queue: asyncio.Queue[PlanEvent] = asyncio.Queue()
    execution = asyncio.ensure_future(engine.executor.execute(cast("Plan", plan), queue.put_nowait, gone))
    watching = asyncio.ensure_future(request.connection.wait_closed_by_client())
    watching.add_done_callback(lambda _: gone.set())
    began = False
    try:
        while True:
            getting = asyncio.ensure_future(queue.get())
            await asyncio.wait({getting, execution}, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                execution.result()  # raises what made the plan unacceptable
                break
            events = [getting.result()]
            while not queue.empty():
                events.append(queue.get_nowait())
            if not began:
                began = True
                await request.begin_stream()
            for event in events:
                await request.write_json(event)
            if events[-1]["status"] == "finished":
                break
        await execution
        await request.end_stream()
    except ConnectionError:
        gone.set()
        await execution
    finally:
        watching.cancel()
