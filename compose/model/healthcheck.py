"""The health check of a service; durations in nanoseconds."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class HealthCheckConfig(Record):
    """`test` is empty (the image's), `NONE`, `CMD ...` or `CMD-SHELL line`."""

    test: tuple[str, ...] = fields.healthcheck_test()
    timeout: int | None = fields.optional_duration()
    interval: int | None = fields.optional_duration()
    retries: int | None = fields.optional_unsigned()
    start_period: int | None = fields.optional_duration()
    start_interval: int | None = fields.optional_duration()
    disable: bool = fields.flag()
    extensions: dict[str, Any] = fields.extensions()
