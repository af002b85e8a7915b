"""A container as `inspect` tells it: the record, the live state, Docker's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.engine.creation import hostname
from runtime.oci.spec import container_argv

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.wire.containers import ContainerInspect, ContainerState, PortBinding


def inspect_container(engine: Engine, container: Container) -> ContainerInspect:
    """The whole truth about one container at this instant."""
    record = container.record
    argv = container_argv(record.config, engine.images.config_of(record.image))
    return {
        "Id": record.id,
        "Name": f"/{record.name}",
        "Created": record.created,
        "Path": argv[0] if argv else "",
        "Args": argv[1:],
        "State": _state(container),
        "Image": record.image,
        "RestartCount": record.restart_count,
        "LogPath": engine.paths.container_log(record.id),
        "Config": {**record.config, "Hostname": hostname(record, "")},
        "HostConfig": record.host_config,
        "NetworkSettings": {
            "SandboxID": record.id,
            "Ports": cast("dict[str, list[PortBinding] | None]", _ports(container)),
            "Networks": record.endpoints,
        },
        "Mounts": record.mounts,
        "Dependencies": record.dependencies,
        "PortGroup": record.port_group,
    }


def _state(container: Container) -> ContainerState:
    record = container.record
    state: ContainerState = {
        "Status": record.status,
        "Running": record.status in {"running", "paused", "restarting"},
        "Paused": record.status == "paused",
        "Restarting": record.status == "restarting",
        "OOMKilled": record.oom_killed,
        "Dead": record.status == "dead",
        "Pid": record.pid,
        "ExitCode": record.exit_code,
        "Error": record.error,
        "StartedAt": record.started_at,
        "FinishedAt": record.finished_at,
    }
    if container.health is not None:
        state["Health"] = container.health.to_wire()
    return state


def _ports(container: Container) -> dict[str, list[dict[str, str]] | None]:
    """Exposed ports without a binding are null, as Docker's."""
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(container.record.config.get("ExposedPorts", {}))
    if container.running:
        ports.update(container.record.published)
    return ports
