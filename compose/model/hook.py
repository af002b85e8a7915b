"""Commands run around a container's life: `pre_start`, `post_start`, `pre_stop` and a watch rule's `exec`."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class ServiceHook(Record):
    """One command; executed inside the container, or for `pre_start` in a container of its own before it."""

    command: tuple[str, ...] | None = fields.command()
    image: str = fields.text()
    user: str = fields.text()
    privileged: bool = fields.flag()
    working_dir: str = fields.text()
    environment: dict[str, str | None] = fields.environment()
    per_replica: bool = fields.flag()
    extensions: dict[str, Any] = fields.extensions()
