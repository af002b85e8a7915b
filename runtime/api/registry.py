"""Questions to registries: what a tag stands for, which tags there are, whether credentials are good; artifacts."""

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


async def artifact(engine: Engine, request: Request) -> None:
    """`Reference`, `Kinds`, `Access` -> `Digest`, `Kind` and, if that is one of those, `Layers`."""
    await _ask(engine, request, "fetch_artifact", "Kinds")


async def publish(engine: Engine, request: Request) -> None:
    """`Reference`, `Layers`, `Form`, `Access` -> `Digest` of what the reference stands for now."""
    await _ask(engine, request, "publish_artifact", "Layers", "Form")


async def _ask(engine: Engine, request: Request, job: str, *more: str) -> None:
    body: dict[str, Any] = request.json()
    for name in ("Reference", *more):
        if not body.get(name):
            raise InvalidParameter(f"registry: {name} is needed")
    asked = {name.lower(): body[name] for name in ("Reference", *more)}
    await request.reply(await engine.registry.run(job, asked, body.get("Access")))
