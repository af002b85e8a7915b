"""Sets what the specification says an absent attribute means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.loader.tree import Map, Node, Seq, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    Default = Callable[[Map], None]


def set_defaults(value: Any, node: Node[Default] | None = None) -> None:
    """Fill in a canonical tree, in place."""
    node = node or DEFAULTS.root
    if isinstance(value, Map):
        if node.value is not None:
            node.value(value)
            return
        for key, item in value.items():
            below = node.step(key)
            if below is not None:
                set_defaults(item, below)
    elif isinstance(value, Seq):
        below = node.step("[]")
        if below is not None:
            for item in value:
                set_defaults(item, below)


def _build(build: Map) -> None:
    build.setdefault("context", ".")


def _secret(secret: Map) -> None:
    if "target" not in secret:
        secret["target"] = f"/run/secrets/{secret.get('source')}"


def _port(port: Map) -> None:
    port.setdefault("protocol", "tcp")
    port.setdefault("mode", "ingress")


def _device_request(request: Map) -> None:
    if "count" not in request and "device_ids" not in request:
        request["count"] = "all"


DEFAULTS: Table[Default] = Table(
    {
        "services.*.build": _build,
        "services.*.secrets.[]": _secret,
        "services.*.ports.[]": _port,
        "services.*.deploy.resources.reservations.devices.[]": _device_request,
        "services.*.gpus.[]": _device_request,
    }
)
