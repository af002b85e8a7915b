"""The develop section: which file changes lead to which action."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.hook import ServiceHook
from compose.model.record import Record


class Trigger(Record):
    """One watch rule; `action` is rebuild, restart, sync, sync+restart or sync+exec."""

    path: str = fields.text(keep=True)
    action: str = fields.text(keep=True)
    target: str = fields.text()
    exec: ServiceHook = fields.embedded(ServiceHook)
    include: tuple[str, ...] = fields.strings()
    ignore: tuple[str, ...] = fields.strings()
    initial_sync: bool = fields.flag()
    extensions: dict[str, Any] = fields.extensions()


class DevelopConfig(Record):
    """All watch rules of a service."""

    watch: tuple[Trigger, ...] = fields.nested_list(Trigger)
    extensions: dict[str, Any] = fields.extensions()
