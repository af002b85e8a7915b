"""Limits and devices of a container: ulimits, block I/O, devices, GPU requests."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class UlimitsConfig(Record):
    """One resource limit: `single` for both bounds, or `soft` and `hard`; -1 is unlimited."""

    single: int = fields.integer()
    soft: int = fields.integer()
    hard: int = fields.integer()
    extensions: dict[str, Any] = fields.extensions()


class WeightDevice(Record):
    """A device's share of block I/O."""

    path: str = fields.text(keep=True, json_name="Path")
    weight: int = fields.unsigned16(keep=True, json_name="Weight")
    extensions: dict[str, Any] = fields.extensions()


class ThrottleDevice(Record):
    """A device's ceiling: bytes or operations per second."""

    path: str = fields.text(keep=True, json_name="Path")
    rate: int = fields.size(keep=True, json_name="Rate")
    extensions: dict[str, Any] = fields.extensions()


class BlkioConfig(Record):
    """Block I/O weights and ceilings."""

    weight: int = fields.unsigned16()
    weight_device: tuple[WeightDevice, ...] = fields.nested_list(WeightDevice)
    device_read_bps: tuple[ThrottleDevice, ...] = fields.nested_list(ThrottleDevice)
    device_read_iops: tuple[ThrottleDevice, ...] = fields.nested_list(ThrottleDevice)
    device_write_bps: tuple[ThrottleDevice, ...] = fields.nested_list(ThrottleDevice)
    device_write_iops: tuple[ThrottleDevice, ...] = fields.nested_list(ThrottleDevice)
    extensions: dict[str, Any] = fields.extensions()


class DeviceMapping(Record):
    """A host device in the container; permissions out of `rwm`."""

    source: str = fields.text()
    target: str = fields.text()
    permissions: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class DeviceRequest(Record):
    """Devices asked for by capability; `count` -1 is all."""

    capabilities: tuple[str, ...] = fields.strings()
    driver: str = fields.text()
    count: int = fields.count()
    device_ids: tuple[str, ...] = fields.strings()
    options: dict[str, str] = fields.mapping()
