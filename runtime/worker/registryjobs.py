"""The jobs that talk to registries. What only they need is imported when one runs: other jobs start without it."""

from __future__ import annotations

import base64
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


def fetch_artifact(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `kinds`, `access` -> `Digest`, `Kind`, `Layers`: `MediaType`, `Annotations`, `Content` (base64)."""
    from runtime.images.registry.artifact import fetch_artifact as fetch

    asked = _asked(request)
    found = fetch(asked.reference, asked.access, tuple(map(str, request["kinds"])))
    layers = [
        {
            "MediaType": layer.media_type,
            "Annotations": layer.annotations,
            "Content": base64.b64encode(layer.content).decode(),
        }
        for layer in found.layers
    ]
    return {"Digest": found.digest, "Kind": found.kind, "Layers": layers}


def publish_artifact(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `access`, `layers` (as fetch_artifact gives them), `form` (fields of artifact.Form) -> `Digest`."""
    from runtime.images.registry.artifact import Form, Layer
    from runtime.images.registry.artifact import publish_artifact as publish

    asked = _asked(request)
    layers = [
        Layer(
            media_type=str(layer["MediaType"]),
            content=base64.b64decode(layer["Content"], validate=True),
            annotations=dict(layer["Annotations"]),
        )
        for layer in request["layers"]
    ]
    form = request["form"]
    wanted = Form(
        kind=str(form["Kind"]),
        config_type=str(form["ConfigType"]),
        version=str(form.get("Version") or ""),
        annotations=dict(form.get("Annotations") or {}),
        described=dict(form.get("Described") or {}),
        images=tuple(map(str, form.get("Images") or ())),
    )
    return {"Digest": publish(asked.reference, asked.access, layers, wanted)}


def push_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`reference`, `access` -> `Digest`, `Size` of the manifest; progress events carry the layer as `id`."""
    from runtime.images.registry.push import push_image as push

    store = ImageStore(paths)
    store.prepare()
    workspace.sweep(store.root)
    reference = parse(str(request["reference"])).tagged()
    done = push(store, reference, cast("Access", request.get("access") or {}), progress=events.layer)
    return {"Digest": done.digest, "Size": done.size}


def preload() -> None:
    """Import what these jobs need."""
    import runtime.images.registry.login
    import runtime.images.registry.pull
    import runtime.images.registry.push  # noqa: F401


def _asked(request: dict[str, Any]) -> Asked:
    from runtime.images.registry.pull import Asked

    return Asked(
        reference=parse(str(request["reference"])).tagged(),
        platform=platforms.parse(str(request.get("platform") or "")),
        access=cast("Access", request.get("access") or {}),
    )
