"""Named volumes of the project."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class VolumeConfig(Record):
    """A volume; `name` is its name in the engine once the project is loaded."""

    name: str = fields.text()
    driver: str = fields.text()
    driver_opts: dict[str, str] = fields.mapping()
    external: bool = fields.flag()
    labels: dict[str, str] = fields.mapping()
    extensions: dict[str, Any] = fields.extensions()
