"""Build projects and observed states for planner tests, in a few words each."""

from __future__ import annotations

from typing import Any

from compose.graph import edges
from compose.model.confighash import network_hash, service_hash, volume_hash
from compose.model.mounts import ServiceVolumeConfig
from compose.model.naming import image_name
from compose.model.network import NetworkConfig, PortConfig
from compose.model.project import Project
from compose.model.service import ServiceConfig, ServiceDependency
from compose.model.volume import VolumeConfig
from compose.reconcile import labels
from compose.reconcile.container_body import create_container
from compose.reconcile.instance import Instance
from compose.reconcile.observed import ObservedState, observe

NAME = "app"
IMAGE = "sha256:" + "1" * 64


def service(name: str, *, needs: dict[str, str] | tuple[str, ...] = (), **said: Any) -> ServiceConfig:
    """A service on the default network; `needs` maps to conditions (`healthy`, `completed`, `started`, + `restart`, `optional`)."""
    words = needs if isinstance(needs, dict) else dict.fromkeys(needs, "started")
    said.setdefault("image", "img")
    if "network_mode" not in said:
        said.setdefault("networks", {"default": None})
    return ServiceConfig(name=name, depends_on={key: dependency(text) for key, text in words.items()}, **said)


def dependency(text: str) -> ServiceDependency:
    words = text.split()
    conditions = {"healthy": "service_healthy", "completed": "service_completed_successfully"}
    condition = next((conditions[word] for word in words if word in conditions), "service_started")
    return ServiceDependency(condition=condition, restart="restart" in words, required="optional" not in words)


def project(*services: ServiceConfig, **said: Any) -> Project:
    """A project with its default network and the volumes that its services mention."""
    named = {one.source for each in services for one in each.volumes if one.type == "volume" and one.source}
    keys = {key: None for each in services for key in each.networks}
    said.setdefault("networks", {key: NetworkConfig(name=f"{NAME}_{key}") for key in keys})
    said.setdefault("volumes", {key: VolumeConfig(name=f"{NAME}_{key}") for key in sorted(named)})
    return Project(
        name=NAME,
        working_dir="/w",
        compose_files=("/w/compose.yaml",),
        services={each.name: each for each in services},
        **said,
    )


def volume(source: str, target: str = "/data", **said: Any) -> ServiceVolumeConfig:
    return ServiceVolumeConfig(type="volume", source=source, target=target, **said)


def port(published: str, target: int = 80, **said: Any) -> PortConfig:
    return PortConfig(mode="ingress", target=target, published=published, protocol="tcp", **said)


def container(
    of: Project,
    name: str,
    number: int = 1,
    *,
    status: str = "running",
    health: str = "",
    exit_code: int = 0,
    changed: bool = False,
    image: str = IMAGE,
    **label_changes: str,
) -> dict[str, Any]:
    """An inspected container as it would be after the project was brought up; `changed`: from another configuration."""
    config = of.all_services[name]
    shared = {key: container_id(key, 1) for key in edges(config)}
    body: dict[str, Any] = dict(
        create_container(
            Instance(
                project=of,
                service=config,
                number=number,
                config_hash="old" if changed else service_hash(config),
                image_id=image,
                containers=shared,
            )
        )
    )
    volumes = [
        of.volumes[one.source].name for one in config.volumes if one.type == "volume" and one.source in of.volumes
    ]
    endpoints = {
        key: {**endpoint, "NetworkID": network_id(key)} for key, endpoint in body.pop("EndpointsConfig").items()
    }
    return {
        **body,
        "Id": container_id(name, number),
        "Name": "/" + body["Name"],
        "State": {"Status": status, "ExitCode": exit_code, **({"Health": {"Status": health}} if health else {})},
        "Image": image,
        "NetworkSettings": {"Networks": endpoints},
        "Mounts": [{"Type": "volume", "Name": each, "Destination": "/data"} for each in volumes],
    }


def one_off(of: Project, name: str, *, status: str = "running") -> dict[str, Any]:
    raw = container(of, name, status=status)
    raw["Id"], raw["Name"] = container_id(f"{name}run", 1), f"/{NAME}-{name}-run-0123456789ab"
    raw["Config"]["Labels"][labels.ONEOFF] = "True"
    del raw["Config"]["Labels"][labels.NUMBER]
    return raw


def container_id(name: str, number: int) -> str:
    return f"{name}{number}".encode().hex().ljust(64, "0")


def network_id(name: str) -> str:
    return "n" + name.encode().hex().ljust(63, "0")


def state(
    of: Project,
    *containers: dict[str, Any],
    networks: bool = True,
    volumes: bool = True,
    extra_networks: tuple[dict[str, Any], ...] = (),
    extra_volumes: tuple[dict[str, Any], ...] = (),
    images: dict[str, Any] | None = None,
) -> ObservedState:
    """What the engine would tell: the project's own networks and volumes and these containers."""
    found_networks = [network(of, key) for key in of.networks if networks and not of.networks[key].external]
    found_volumes = [named_volume(of, key) for key in of.volumes if volumes and not of.volumes[key].external]
    known = {image_name(of, each): {"Id": IMAGE} for each in of.services.values()}
    for each in found_networks:
        each["Containers"] = {one["Id"]: {} for one in containers if each["Name"] in one["NetworkSettings"]["Networks"]}
    return observe(
        {
            "Containers": list(containers),
            "Networks": [*found_networks, *extra_networks],
            "Volumes": [*found_volumes, *extra_volumes],
            "Images": known if images is None else images,
        },
        NAME,
    )


def network(of: Project, key: str, *, changed: bool = False) -> dict[str, Any]:
    config = of.networks[key]
    said = labels.network_labels(NAME, key, "old" if changed else network_hash(config), config.labels)
    return {"Id": network_id(config.name), "Name": config.name, "Labels": said}


def named_volume(of: Project, key: str, *, changed: bool = False) -> dict[str, Any]:
    config = of.volumes[key]
    said = labels.volume_labels(NAME, key, "old" if changed else volume_hash(config), config.labels)
    return {"Name": config.name, "Labels": said}


def all_up(of: Project, **said: Any) -> ObservedState:
    """The state after `up`: every container runs, those with a health check are healthy."""
    return state(of, *(each for each in everything(of)), **said)


def everything(of: Project) -> list[dict[str, Any]]:
    return [
        container(of, each.name, number, health="healthy" if each.healthcheck is not None else "")
        for each in of.services.values()
        for number in range(1, each.replicas + 1)
    ]
