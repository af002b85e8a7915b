"""The deploy section: replicas, resources, restart policy, updates."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.limits import DeviceRequest
from compose.model.record import Record


class UpdateConfig(Record):
    """How replicas are replaced; durations in nanoseconds, `order` start-first or stop-first."""

    parallelism: int | None = fields.optional_unsigned()
    delay: int = fields.duration()
    failure_action: str = fields.text()
    monitor: int = fields.duration()
    max_failure_ratio: float = fields.real()
    order: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class DiscreteGenericResource(Record):
    """A counted resource of any kind."""

    kind: str = fields.text(keep=True)
    value: int = fields.integer(keep=True)
    extensions: dict[str, Any] = fields.extensions()


class GenericResource(Record):
    """A wrapper of one discrete resource."""

    discrete_resource_spec: DiscreteGenericResource | None = fields.nested(DiscreteGenericResource)
    extensions: dict[str, Any] = fields.extensions()


class Resource(Record):
    """Limits or reservations: `cpus` in CPUs, `memory` in bytes."""

    cpus: float = fields.real()
    memory: int = fields.size()
    pids: int = fields.integer()
    devices: tuple[DeviceRequest, ...] = fields.nested_list(DeviceRequest)
    generic_resources: tuple[GenericResource, ...] = fields.nested_list(GenericResource)
    extensions: dict[str, Any] = fields.extensions()


class Resources(Record):
    """Limits and reservations."""

    limits: Resource | None = fields.nested(Resource)
    reservations: Resource | None = fields.nested(Resource)
    extensions: dict[str, Any] = fields.extensions()


class RestartPolicy(Record):
    """`condition` none, on-failure or any; durations in nanoseconds."""

    condition: str = fields.text()
    delay: int | None = fields.optional_duration()
    max_attempts: int | None = fields.optional_unsigned()
    window: int | None = fields.optional_duration()
    extensions: dict[str, Any] = fields.extensions()


class PlacementPreferences(Record):
    """Spread over the values of a node label."""

    spread: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class Placement(Record):
    """Which nodes; kept, without effect on one host."""

    constraints: tuple[str, ...] = fields.strings()
    preferences: tuple[PlacementPreferences, ...] = fields.nested_list(PlacementPreferences)
    max_replicas_per_node: int = fields.unsigned()
    extensions: dict[str, Any] = fields.extensions()


class DeployConfig(Record):
    """The deploy section."""

    mode: str = fields.text()
    replicas: int | None = fields.optional_integer()
    labels: dict[str, str] = fields.mapping()
    update_config: UpdateConfig | None = fields.nested(UpdateConfig)
    rollback_config: UpdateConfig | None = fields.nested(UpdateConfig)
    resources: Resources = fields.embedded(Resources)
    restart_policy: RestartPolicy | None = fields.nested(RestartPolicy)
    placement: Placement = fields.embedded(Placement)
    endpoint_mode: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()
