"""Collect what the planning of `up` has decided so far: networks, volumes, and the containers of each service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.graph import services_shared, volume_services
from compose.model.record import Record
from compose.reconcile.draft import Draft
from compose.reconcile.instance import Instance

if TYPE_CHECKING:
    from compose.reconcile.desired import DesiredService, DesiredState
    from compose.reconcile.observed import ObservedContainer, ObservedState
    from compose.reconcile.options import UpOptions
    from runtime.wire.containers import CreateContainer

PAUSED = "paused"
"""The one cause of a start that is no start: the container only has to go on."""


class Slot(Record):
    """A container that is there when all creating is done."""

    service: str
    number: int
    name: str
    reference: str
    """Id of one that is kept, name of a new one."""
    exists: tuple[int, ...] = ()
    """The operations after which it is there under its name."""
    start: str = ""
    """Why it must be started; "" if it runs."""
    container: ObservedContainer | None = None
    """The observed container, if that one is kept."""
    body: CreateContainer | None = None
    """What a new one is made from."""

    @property
    def fresh(self) -> bool:
        """Whether the plan makes it."""
        return self.container is None

    @property
    def subject(self) -> str:
        return f"service:{self.service}:{self.number}"

    @property
    def resource(self) -> str:
        return f"container {self.name}"


class UpDraft(Draft):
    """A plan of `up` in the making."""

    def __init__(self, desired: DesiredState, observed: ObservedState, options: UpOptions) -> None:
        super().__init__(desired.project, observed, timeout=options.timeout, graph=desired.graph)
        self.desired = desired
        self.options = options
        self.networks: dict[str, int] = {}
        """Key of a network to the operation after which it is there; absent if it is there already."""
        self.volumes: dict[str, int] = {}
        """The same of volumes."""
        self.slots: dict[str, list[Slot]] = {}
        """Service to its containers by number, for services already planned."""
        self.detached: dict[str, list[str]] = {}
        """Container id to the keys of networks it was taken off and must be put on again."""
        self.disturbed: dict[str, str] = {}
        """Id of a running container that had to be stopped, to the reason: it must run again in the end."""
        self.renewed: dict[str, str] = {}
        """Id of a container that had to be removed before its turn, to the reason."""

    def disturb(self, container: ObservedContainer, cause: str) -> None:
        """Note that the container is stopped for another's sake and has to be started again."""
        if container.alive:
            self.disturbed.setdefault(container.id, cause)

    def parents(self, service: DesiredService) -> dict[str, str]:
        """Services whose namespace or volumes are shared, to what is shared, in words."""
        words = {"network_mode": "network", "ipc": "IPC namespace", "pid": "processes"}
        found = {name: words.get(key, f"{key} namespace") for key, name in services_shared(service.config).items()}
        for name in volume_services(service.config):
            found.setdefault(name, "volumes")
        return found

    def first(self, service: str) -> Slot | None:
        """The container of the service that others share with: its lowest number, planned or observed."""
        planned = self.slots.get(service)
        if planned:
            return planned[0]
        there = self.observed.of_service(service)
        if service in self.desired.services or not there:
            return None
        one = there[0]
        return Slot(service=service, number=one.number, name=one.name, reference=one.id, container=one)

    def instance(self, service: DesiredService, number: int, *, replaces: str = "") -> Instance:
        """The description of a container to be made."""
        firsts = {name: self.first(name) for name in self.parents(service)}
        return Instance(
            project=self.project,
            service=service.config,
            number=number,
            config_hash=service.config_hash,
            image_id=self.observed.image_id(service.image),
            containers={name: slot.reference for name, slot in firsts.items() if slot is not None},
            linked={name: self._names(name) for name in (link.partition(":")[0] for link in service.config.links)},
            replaces=replaces,
            inherit_volumes=not self.options.renew_anonymous_volumes,
            env_files=self.options.env_files,
            seccomp_profiles=self.options.seccomp_profiles,
        )

    def _names(self, service: str) -> tuple[str, ...]:
        if service in self.slots:
            return tuple(slot.name for slot in self.slots[service])
        return tuple(container.name for container in self.observed.of_service(service))
