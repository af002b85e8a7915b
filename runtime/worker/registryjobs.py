"""The jobs that talk to registries. What only they need is imported when one runs: other jobs start without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from runtime.images import platform as platforms
from runtime.images import workspace
from runtime.images.reference import parse
from runtime.images.store import ImageStore

if TYPE_CHECKING:
    from runtime.images.registry.pull import Asked
    from runtime.paths import Paths
    from runtime.wire.registries import Access
    from runtime.worker.events import Events


def pull_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `platform`, `access` -> `Id`, `Digest`, `Changed`; progress events carry the layer as `id`."""
    from runtime.images.registry.pull import pull_image as pull

    store = ImageStore(paths)
    store.prepare()
    workspace.sweep(store.root)
    done = pull(store, _asked(request), progress=events.layer)
    return {"Id": done.image.id, "Digest": done.digest, "Changed": done.changed}


def resolve_digest(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `access` -> `Digest`: what the reference stands for in its registry now."""
    from runtime.images.registry.pull import resolve_digest as resolve

    return {"Digest": resolve(_asked(request))}


def list_tags(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `access` -> `Tags` of the repository."""
    from runtime.images.registry.pull import list_tags as tags

    return {"Tags": tags(_asked(request))}


def check_login(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference` (the registry's name), `access` with what is to be tried -> `Status`, `IdentityToken`."""
    from runtime.images.registry.login import check_login as check
    from runtime.images.registry.pull import make_transport

    access = cast("Access", request.get("access") or {})
    return check(str(request["reference"]), access, make_transport(access))


def push_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `access` -> `Digest`, `Size` of the manifest; progress events carry the layer as `id`."""
    from runtime.images.registry.push import push_image as push

    store = ImageStore(paths)
    store.prepare()
    workspace.sweep(store.root)
    reference = parse(str(request["reference"])).tagged()
    done = push(store, reference, cast("Access", request.get("access") or {}), progress=events.layer)
    return {"Digest": done.digest, "Size": done.size}


def _asked(request: dict[str, Any]) -> Asked:
    from runtime.images.registry.pull import Asked

    return Asked(
        reference=parse(str(request["reference"])).tagged(),
        platform=platforms.parse(str(request.get("platform") or "")),
        access=cast("Access", request.get("access") or {}),
    )
