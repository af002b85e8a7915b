"""Questions to registries: what a tag stands for, which tags there are, whether credentials are good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine


async def digest(engine: Engine, request: Request) -> None:
    """`Reference`, `Access` -> `Digest`."""
    await _ask(engine, request, "resolve_digest")


async def tags(engine: Engine, request: Request) -> None:
    """`Reference`, `Access` -> `Tags`."""
    await _ask(engine, request, "list_tags")


async def login(engine: Engine, request: Request) -> None:
    """`Reference` (the registry), `Access` with the credentials to be tried -> `Status`, `IdentityToken`."""
    await _ask(engine, request, "check_login")


async def _ask(engine: Engine, request: Request, job: str) -> None:
    body: dict[str, Any] = request.json()
    if not body.get("Reference"):
        raise InvalidParameter("registry: Reference is needed")
    await request.reply(await engine.registry.run(job, {"reference": body["Reference"]}, body.get("Access")))
