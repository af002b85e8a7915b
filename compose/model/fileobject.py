"""Secrets and configs of the project: content from a file, a variable or (configs) the compose file itself."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class FileObjectConfig(Record):
    """Where the content comes from; exactly one of `file`, `environment`, `content` unless external or by driver."""

    name: str = fields.text()
    file: str = fields.text()
    environment: str = fields.text()
    content: str = fields.text()
    external: bool = fields.flag()
    labels: dict[str, str] = fields.mapping()
    driver: str = fields.text()
    driver_opts: dict[str, str] = fields.text_mapping()
    template_driver: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class SecretConfig(FileObjectConfig):
    """A secret; `content` is the variable's value if it comes from the environment, and is never written out."""


class ConfigObjConfig(FileObjectConfig):
    """A config; `content` is the text itself, or the variable's value if it comes from the environment."""
