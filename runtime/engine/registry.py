"""Registries as the engine uses them: workers do the talking, a few at a time; credentials only pass through.

They come with a request, go to a worker's standard input, and are neither kept nor written anywhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.images import platform as platforms
from runtime.wire import registries

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engine.engine import Engine

PARALLEL = 4
"""Images at a time; each of them fetches several layers at once."""


class Registry:
    """Pulls and pushes of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turns = asyncio.Semaphore(PARALLEL)

    def has(self, reference: str, platform: str) -> bool:
        """Whether the image is here, for the wanted platform if one is wanted."""
        try:
            image = self.engine.images.resolve(reference)
        except EngineError:
            return False
        actual = platforms.of_config(image.document)
        return not platform or actual is None or platforms.runs(actual, platforms.parse(platform))

    async def pull(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        """Pull as a PullImage operation says: `Id`, `Digest`, `Changed`. Raises the worker's error."""
        request = {"reference": args["Reference"], "platform": args.get("Platform") or ""}
        result = await self.run("pull_image", request, args.get("Access"), progress)
        self.engine.images_changed()
        image = self.engine.images.resolve(result["Id"])
        self.engine.events.publish("image", "pull", args["Reference"], args["Reference"], _labels(image.config))
        return result

    async def push(self, args: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
        """Push as a PushImage operation says: `Digest`, `Size`. Raises the worker's error."""
        reference = args["Reference"]
        result = await self.run("push_image", {"reference": reference}, args.get("Access"), progress)
        self.engine.images_changed()
        self.engine.events.publish("image", "push", reference, reference, {})
        return result

    async def run(
        self, job: str, request: dict[str, Any], access: Any, progress: Callable[..., None] | None = None
    ) -> dict[str, Any]:
        """Run a registry job; its result. Without a client's word the system's settings count."""
        settled = {"registries": _system_settings(), **(access or {})}
        async with self._turns:
            async for event in self.engine.workers.run(job, {**request, "access": settled}):
                if event["status"] == "finished":
                    return dict(event["result"])
                if event["status"] == "progress" and progress is not None:
                    progress(event.get("id", ""), event["text"], event["current"], event["total"])
        raise SystemFailure(f"worker {job} ended without a result")


def _system_settings() -> registries.Registries:
    try:
        return registries.read((registries.SYSTEM_FILE,))
    except ValueError as error:
        raise InvalidParameter(str(error)) from error


def _labels(config: dict[str, Any]) -> dict[str, str]:
    return dict(config.get("Labels") or {})
