"""Read a snapshot of the engine into what the planner asks about; nothing is lost, `raw` keeps the whole object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compose.model.network import NetworkConfig
from compose.model.project import Project
from compose.model.record import Record
from compose.model.service import ServiceConfig
from compose.model.volume import VolumeConfig
from compose.reconcile import labels
from compose.reconcile.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.wire.containers import ContainerInspect

ALIVE = frozenset({"running", "paused", "restarting"})
"""States in which there is something to stop."""


class ObservedContainer(Record):
    """A container of the project."""

    id: str
    name: str
    """Without the leading slash."""
    service: str
    number: int
    """0 for one-offs."""
    one_off: bool
    status: str
    health: str
    """"" if it has no health check."""
    exit_code: int
    labels: Mapping[str, str]
    image: str
    """The image's id."""
    networks: Mapping[str, str]
    """Names of the networks it is attached to, with their ids."""
    volumes: frozenset[str]
    """Names of the volumes it mounts."""
    raw: ContainerInspect

    @property
    def alive(self) -> bool:
        """Whether there is something to stop."""
        return self.status in ALIVE

    @property
    def config_hash(self) -> str:
        return self.labels.get(labels.CONFIG_HASH, "")

    @property
    def subject(self) -> str:
        """How the plan's text names it."""
        if self.one_off or not self.service or not self.number:
            return f"container:{self.name}"
        return f"service:{self.service}:{self.number}"

    @property
    def resource(self) -> str:
        """The key of its progress line."""
        return f"container {self.name}"


class Labelled(Record):
    """An object of the engine that a project may have made."""

    name: str
    labels: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def project(self) -> str | None:
        return self.labels.get(labels.PROJECT)

    @property
    def config_hash(self) -> str:
        return self.labels.get(labels.CONFIG_HASH, "")


class ObservedNetwork(Labelled):
    """A network of the engine, of any project."""

    id: str

    @property
    def attached(self) -> frozenset[str]:
        """Ids of all containers on it, also those of other projects."""
        return frozenset(self.raw.get("Containers") or ())


class ObservedVolume(Labelled):
    """A volume of the engine, of any project."""


class ObservedState(Record):
    """What the engine had when the snapshot was taken."""

    project: str
    containers: tuple[ObservedContainer, ...] = ()
    """Those of the project, by service, number and name."""
    networks: Mapping[str, ObservedNetwork] = NOTHING
    volumes: Mapping[str, ObservedVolume] = NOTHING
    images: Mapping[str, Mapping[str, Any]] = NOTHING
    """Keyed by the reference that was asked for; an absent key means there is no such image."""
    generation: str = ""
    """The engine's name for this state of the project."""
    standing: Mapping[str, tuple[ObservedContainer, ...]] = NOTHING
    """The same by service, without one-offs."""

    def of_service(self, service: str) -> tuple[ObservedContainer, ...]:
        """The standing containers of a service, by number."""
        return self.standing.get(service, ())

    def one_offs(self, service: str = "") -> tuple[ObservedContainer, ...]:
        """What `run` made, of one service or of all."""
        return tuple(
            container for container in self.containers if container.one_off and service in ("", container.service)
        )

    def orphans(self, known: Iterable[str]) -> tuple[ObservedContainer, ...]:
        """Containers of services that are not known (any more), and finished one-offs."""
        services = frozenset(known)
        return tuple(
            container
            for container in self.containers
            if (container.status in ("exited", "dead") if container.one_off else container.service not in services)
        )

    def network(self, name: str) -> ObservedNetwork | None:
        """The network of that name or, as the engine allows for external ones, of that id."""
        found = self.networks.get(name)
        if found is not None:
            return found
        return next((network for network in self.networks.values() if network.id == name), None)

    def image_id(self, reference: str) -> str:
        """The id of a local image; "" if there is none or nobody asked."""
        return str(self.images.get(reference, {}).get("Id", ""))


def observe(snapshot: Mapping[str, Any], project: str) -> ObservedState:
    """The state in a snapshot; containers of other projects are left out."""
    containers = [
        _container(raw)
        for raw in snapshot.get("Containers") or ()
        if ((raw.get("Config") or {}).get("Labels") or {}).get(labels.PROJECT) == project
    ]
    containers.sort(key=lambda container: (container.service, container.one_off, container.number, container.name))
    networks = [
        ObservedNetwork(id=str(raw.get("Id", "")), name=raw["Name"], labels=raw.get("Labels") or {}, raw=raw)
        for raw in snapshot.get("Networks") or ()
    ]
    volumes = [
        ObservedVolume(name=raw["Name"], labels=raw.get("Labels") or {}, raw=raw)
        for raw in snapshot.get("Volumes") or ()
    ]
    standing: dict[str, list[ObservedContainer]] = {}
    for container in containers:
        if not container.one_off:
            standing.setdefault(container.service, []).append(container)
    return ObservedState(
        project=project,
        containers=tuple(containers),
        standing={service: tuple(found) for service, found in standing.items()},
        networks={network.name: network for network in networks},
        volumes={volume.name: volume for volume in volumes},
        images=snapshot.get("Images") or {},
        generation=str(snapshot.get("Generation") or ""),
    )


def project_from_labels(observed: ObservedState) -> Project:
    """The project as far as labels tell it, for commands without a compose file; no dependency is required."""
    services: dict[str, ServiceConfig] = {}
    for container in observed.containers:
        if container.one_off:
            continue
        name = container.service or container.name
        known = services.get(name)
        services[name] = ServiceConfig(
            name=name,
            image=(container.raw.get("Config") or {}).get("Image", ""),
            depends_on=labels.parse_depends_on(container.labels.get(labels.DEPENDS_ON, "")),
            scale=(known.replicas if known else 0) + 1,
        )
    first = next((container.labels for container in observed.containers), {})
    return Project(
        name=observed.project,
        working_dir=first.get(labels.WORKING_DIR, ""),
        compose_files=tuple(filter(None, first.get(labels.CONFIG_FILES, "").split(","))),
        services=dict(sorted(services.items())),
        networks={
            network.labels.get(labels.NETWORK, network.name): NetworkConfig(name=network.name)
            for network in observed.networks.values()
            if network.project == observed.project
        },
        volumes={
            volume.labels.get(labels.VOLUME, volume.name): VolumeConfig(name=volume.name)
            for volume in observed.volumes.values()
            if volume.project == observed.project
        },
    )


def _container(raw: Mapping[str, Any]) -> ObservedContainer:
    said: Mapping[str, str] = (raw.get("Config") or {}).get("Labels") or {}
    state: Mapping[str, Any] = raw.get("State") or {}
    attached = (raw.get("NetworkSettings") or {}).get("Networks") or {}
    health = str((state.get("Health") or {}).get("Status", ""))
    return ObservedContainer(
        id=raw["Id"],
        name=str(raw["Name"]).removeprefix("/"),
        service=said.get(labels.SERVICE, ""),
        number=labels.number(said),
        one_off=labels.is_one_off(said),
        status=str(state.get("Status", "")),
        health="" if health == "none" else health,
        exit_code=int(state.get("ExitCode") or 0),
        labels=said,
        image=str(raw.get("Image", "")),
        networks={name: str((endpoint or {}).get("NetworkID", "")) for name, endpoint in attached.items()},
        volumes=frozenset(
            mount["Name"] for mount in raw.get("Mounts") or () if mount.get("Type") == "volume" and mount.get("Name")
        ),
        raw=cast("ContainerInspect", raw),
    )
