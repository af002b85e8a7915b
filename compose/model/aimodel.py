"""AI models of the project and how a service is told of them."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class ModelConfig(Record):
    """A model served beside the services."""

    name: str = fields.text()
    model: str = fields.text()
    context_size: int = fields.integer()
    runtime_flags: tuple[str, ...] = fields.strings()
    extensions: dict[str, Any] = fields.extensions()


class ServiceModelConfig(Record):
    """The variables through which a service learns a model's URL and name."""

    endpoint_var: str = fields.text()
    model_var: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()
