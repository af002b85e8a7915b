"""Networks: list, inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine


async def listing(engine: Engine, request: Request) -> None:
    await request.reply(engine.networks.listing())


async def inspect(engine: Engine, request: Request) -> None:
    await request.reply(engine.networks.describe(request.parts[0]))
