"""Translate a service into Docker's ContainerConfig: process, environment, health check, labels.

Absent is not empty: a command that is not said is the image's, an empty one clears it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compose.errors import ComposeError
from compose.model.naming import image_name
from compose.reconcile import labels
from compose.reconcile.body_network import exposed_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.healthcheck import HealthCheckConfig
    from compose.model.service import ServiceConfig
    from compose.reconcile.instance import Instance
    from runtime.wire.containers import ContainerConfig, HealthConfig

NANOSECONDS = 1_000_000_000

TEXTS = (
    ("Hostname", "hostname"),
    ("Domainname", "domainname"),
    ("User", "user"),
    ("WorkingDir", "working_dir"),
    ("StopSignal", "stop_signal"),
)
FLAGS = (("Tty", "tty"), ("OpenStdin", "stdin_open"))
HEALTH_NUMBERS = (
    ("Interval", "interval"),
    ("Timeout", "timeout"),
    ("StartPeriod", "start_period"),
    ("StartInterval", "start_interval"),
    ("Retries", "retries"),
)


def container_config(instance: Instance) -> ContainerConfig:
    """Docker's `Config`. Raises ComposeError for parts of a probe that do not go together."""
    service = instance.service
    config: dict[str, Any] = {
        "Image": image_name(instance.project, service),
        "Env": environment(service.environment),
        "Labels": container_labels(instance),
    }
    config.update((key, value) for key, attribute in TEXTS if (value := getattr(service, attribute)))
    config.update((key, True) for key, attribute in FLAGS if getattr(service, attribute))
    if instance.attach_stdin:
        config["AttachStdin"] = True
        config["StdinOnce"] = service.stdin_open
    if service.command is not None:
        config["Cmd"] = list(service.command)
    if service.entrypoint is not None:
        config["Entrypoint"] = list(service.entrypoint)
    if ports := exposed_ports(service):
        config["ExposedPorts"] = {port: {} for port in ports}
    if service.stop_grace_period is not None:
        config["StopTimeout"] = service.stop_grace_period // NANOSECONDS
    if service.healthcheck is not None:
        if service.healthcheck.start_interval is not None and service.healthcheck.start_period is None:
            raise ComposeError(
                f"services.{service.name}: healthcheck.start_interval requires healthcheck.start_period to be set"
            )
        config["Healthcheck"] = health_config(service.healthcheck)
    return cast("ContainerConfig", config)


def environment(variables: Mapping[str, str | None]) -> list[str]:
    """`NAME=value`; a bare `NAME` takes a variable of the image away."""
    return [name if value is None else f"{name}={value}" for name, value in variables.items()]


def health_config(check: HealthCheckConfig) -> HealthConfig:
    """Durations in nanoseconds; an empty test leaves the image's."""
    config: dict[str, Any] = {"Test": ["NONE"] if check.disable else list(check.test)}
    config.update((key, value) for key, attribute in HEALTH_NUMBERS if (value := getattr(check, attribute)) is not None)
    return cast("HealthConfig", config)


def container_labels(instance: Instance) -> dict[str, str]:
    """The user's labels and all of ours."""
    service = instance.service
    found = {
        **service.labels,
        **labels.base_labels(instance.project, service.name, env_files=instance.env_files),
        labels.CONFIG_HASH: instance.config_hash,
        labels.DEPENDS_ON: labels.depends_on_text(service),
    }
    if instance.image_id:
        found[labels.IMAGE] = instance.image_id
    if instance.slug:
        return {**found, labels.ONEOFF: "True", labels.SLUG: instance.slug}
    found[labels.NUMBER] = str(instance.number)
    if instance.replaces:
        found[labels.REPLACE] = _replaced(service, instance.number)
    return found


def _replaced(service: ServiceConfig, number: int) -> str:
    return service.container_name or f"{service.name}-{number}"
