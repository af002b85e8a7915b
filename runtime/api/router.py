"""Routes: a flat table of method, path pattern and handler."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.api import archive, containers, engine, images, networks, plans, registry, streams, volumes
from runtime.errors import InvalidParameter, NotFound, NotSupported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.api.server import Request
    from runtime.engine.engine import Engine

MAX_PATH = 4096
"""Characters; errors repeat the path. What can be long, as the images of a snapshot, stands in the query."""
ROUTES: tuple[tuple[str, str, Callable[[Engine, Request], Awaitable[None]]], ...] = (
    ("GET", "/v1/version", engine.version),
    ("GET", "/v1/status", engine.status),
    ("POST", "/v1/stop", engine.stop),
    ("GET", "/v1/engine/logs", engine.logs),
    ("GET", "/v1/engine/df", engine.disk_usage),
    ("GET", "/v1/events", streams.events),
    ("GET", "/v1/snapshot", containers.snapshot),
    ("POST", "/v1/plan", plans.submit),
    ("GET", "/v1/containers", containers.listing),
    ("GET", "/v1/containers/{}/logs", streams.logs),
    ("GET", "/v1/containers/{}/top", containers.top),
    ("GET", "/v1/containers/{}/stats", containers.stats),
    ("POST", "/v1/containers/{}/exec", streams.execute),
    ("POST", "/v1/containers/{}/attach", streams.attach),
    ("PUT", "/v1/containers/{}/archive", archive.put),
    ("GET", "/v1/containers/{}/archive", archive.get),
    ("GET", "/v1/containers/{}", containers.inspect),  # after those whose paths are longer
    ("POST", "/v1/registry/digest", registry.digest),
    ("POST", "/v1/registry/tags", registry.tags),
    ("POST", "/v1/registry/login", registry.login),
    ("POST", "/v1/registry/artifact", registry.artifact),
    ("POST", "/v1/registry/publish", registry.publish),
    ("GET", "/v1/images", images.listing),
    ("POST", "/v1/images/import", images.import_image),
    ("POST", "/v1/images/load", images.load),
    ("POST", "/v1/images/save", images.save),
    ("POST", "/v1/images/prune", images.prune),
    ("POST", "/v1/images/{}/tag", images.tag),
    ("GET", "/v1/images/{}", images.inspect),
    ("GET", "/v1/networks", networks.listing),
    ("GET", "/v1/networks/{}", networks.inspect),
    ("GET", "/v1/volumes", volumes.listing),
    ("GET", "/v1/volumes/{}", volumes.inspect),
)

_COMPILED = tuple(
    (method, re.compile(re.escape(pattern).replace(r"\{\}", "(.+)") + r"\Z"), handler)
    for method, pattern, handler in ROUTES
)


def dispatcher(target: Engine) -> Callable[[Request], Awaitable[None]]:
    """A handler that finds the route of a request and calls it."""

    async def dispatch(request: Request) -> None:
        if len(request.path) > MAX_PATH:
            raise InvalidParameter(f"path of the request has {len(request.path)} characters: at most {MAX_PATH}")
        known = False
        for method, pattern, handler in _COMPILED:
            match = pattern.match(request.path)
            if match is None:
                continue
            known = True
            if method == request.method:
                request.parts = match.groups()
                await handler(target, request)
                return
        if known:
            raise NotSupported(f"{request.path} does not take {request.method}")
        raise NotFound(f"no such endpoint: {request.path}")

    return dispatch
