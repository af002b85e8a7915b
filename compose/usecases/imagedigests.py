"""Pin the images of a project to what their tags stand for now, as their registries say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project

HUB, LIBRARY, DEFAULT_TAG = "docker.io", "library", "latest"


def pin(project: Project, digest_of: Callable[[str], str]) -> Project:
    """A copy in which every image has a digest; `digest_of` asks a registry. Raises ComposeError, naming the image."""
    known: dict[str, str] = {}
    services = {}
    for name, service in project.services.items():
        if service.image and service.image not in known:
            known[service.image] = _pinned(service.image, digest_of)
        services[name] = service.replace(image=known[service.image]) if service.image else service
    return project.replace(services=services)


def full_reference(image: str) -> str:
    """A reference with its registry and its tag written out; one with a digest loses its tag (Docker's rule)."""
    name, at, digest = image.partition("@")
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = HUB, name
    if first in (HUB, f"index.{HUB}"):
        first = HUB
        rest = rest if "/" in rest else f"{LIBRARY}/{rest}"
    path, _, tag = rest.partition(":")
    return f"{first}/{path}@{digest}" if at else f"{first}/{path}:{tag or DEFAULT_TAG}"


def _pinned(image: str, digest_of: Callable[[str], str]) -> str:
    reference = full_reference(image)
    if "@" in reference:
        return reference
    try:
        return f"{reference}@{digest_of(reference)}"
    except (ComposeError, EngineError) as error:
        raise ComposeError(f"failed to resolve digest for {image}: {error.message}") from error
