"""The loaded project: immutable; `with_*` methods return copies, disabled services are kept for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import NoSuchService, SourceMark
from compose.model.record import Record, Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.model.aimodel import ModelConfig
    from compose.model.fileobject import ConfigObjConfig, SecretConfig
    from compose.model.network import NetworkConfig
    from compose.model.service import ServiceConfig
    from compose.model.volume import VolumeConfig


def _mapping() -> Any:
    return Spec(None, dict)


class Project(Record):
    """Everything the files say. Services are keyed by name; `services` holds the enabled ones only."""

    name: str
    working_dir: str
    compose_files: tuple[str, ...] = ()
    services: dict[str, ServiceConfig] = _mapping()
    disabled_services: dict[str, ServiceConfig] = _mapping()
    networks: dict[str, NetworkConfig] = _mapping()
    volumes: dict[str, VolumeConfig] = _mapping()
    secrets: dict[str, SecretConfig] = _mapping()
    configs: dict[str, ConfigObjConfig] = _mapping()
    models: dict[str, ModelConfig] = _mapping()
    profiles: tuple[str, ...] = ()
    environment: Mapping[str, str] = _mapping()
    extensions: dict[str, Any] = _mapping()
    marks: Mapping[str, SourceMark] = _mapping()
    """Path (`services.web.ports[0]`) to the place it comes from; a deeper path answers with its nearest ancestor's."""
    warnings: tuple[str, ...] = ()
    separator: str = "-"
    """Between the parts of a container's or image's name; `_` with --compatibility."""

    def mark(self, path: str) -> SourceMark | None:
        """Where the value at `path` was written, if it was."""
        return self.marks.get(path)

    @property
    def all_services(self) -> dict[str, ServiceConfig]:
        """Enabled and disabled services."""
        return {**self.services, **self.disabled_services}

    def service(self, name: str) -> ServiceConfig:
        """The enabled service; raises NoSuchService with the nearest name."""
        found = self.services.get(name)
        if found is None:
            raise NoSuchService(name, nearest(name, self.services))
        return found

    def with_profiles(self, profiles: Iterable[str]) -> Project:
        """A copy in which exactly the services without profiles or with an active one are enabled; `*` is all."""
        active = tuple(profiles)
        enabled: dict[str, ServiceConfig] = {}
        disabled: dict[str, ServiceConfig] = {}
        for name, service in self.all_services.items():
            on = not service.profiles or "*" in active or any(profile in active for profile in service.profiles)
            (enabled if on else disabled)[name] = service
        return self.replace(services=_sorted(enabled), disabled_services=_sorted(disabled), profiles=active)

    def with_enabled(self, names: Iterable[str]) -> Project:
        """A copy in which the named services are enabled whatever their profiles; raises NoSuchService."""
        wanted = tuple(names)
        known = self.all_services
        for name in wanted:
            if name not in known:
                raise NoSuchService(name, nearest(name, known))
        enabled = {name: known[name] for name in known if name in self.services or name in wanted}
        disabled = {name: service for name, service in self.disabled_services.items() if name not in wanted}
        return self.replace(services=_sorted(enabled), disabled_services=_sorted(disabled))

    def with_selected(self, names: Iterable[str], *, dependencies: bool = True, dependents: bool = False) -> Project:
        """A copy with the named services (all if none is named) and, if asked, what they need or what needs them.

        The rest becomes disabled. Dependencies that are left out are dropped from `depends_on`.
        Raises NoSuchService.
        """
        wanted = tuple(names)
        if not wanted:
            return self
        for name in wanted:
            self.service(name)
        chosen = set(wanted)
        if dependencies:
            chosen |= _reach(wanted, {name: _needs(service) for name, service in self.services.items()})
        if dependents:
            chosen |= _reach(wanted, _reversed({name: _needs(service) for name, service in self.services.items()}))
        enabled: dict[str, ServiceConfig] = {}
        disabled = dict(self.disabled_services)
        for name, service in self.services.items():
            if name not in chosen:
                disabled[name] = service
                continue
            kept = {target: edge for target, edge in service.depends_on.items() if target in chosen}
            enabled[name] = service.replace(depends_on=kept) if len(kept) < len(service.depends_on) else service
        return self.replace(services=enabled, disabled_services=_sorted(disabled))

    def with_scale(self, scale: Mapping[str, int]) -> Project:
        """A copy in which the named services want that many containers; raises NoSuchService."""
        services = dict(self.services)
        for name, replicas in scale.items():
            services[name] = self.service(name).with_scale(replicas)
        return self.replace(services=services)

    def without_unused_resources(self) -> Project:
        """A copy without the networks, volumes, secrets, configs and models that no enabled service uses."""
        networks: set[str] = set()
        volumes: set[str] = set()
        secrets: set[str] = set()
        configs: set[str] = set()
        models: set[str] = set()
        for service in self.services.values():
            networks.update(service.networks)
            volumes.update(mount.source for mount in service.volumes if mount.type == "volume")
            secrets.update(secret.source for secret in service.secrets)
            if service.build is not None:
                secrets.update(secret.source for secret in service.build.secrets)
            configs.update(config.source for config in service.configs)
            models.update(service.models)
        return self.replace(
            networks={name: value for name, value in self.networks.items() if name in networks},
            volumes={name: value for name, value in self.volumes.items() if name in volumes},
            secrets={name: value for name, value in self.secrets.items() if name in secrets},
            configs={name: value for name, value in self.configs.items() if name in configs},
            models={name: value for name, value in self.models.items() if name in models},
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or "": also one in other letters' case, or two letters that changed places."""
    from difflib import get_close_matches

    names = list(known)
    if matches := get_close_matches(name, names, n=1):
        return matches[0]
    folded = name.lower()
    alike = (folded, folded[::-1]) if len(name) == len("db") else (folded,)
    return next((other for other in names if other.lower() in alike), "")


def _needs(service: ServiceConfig) -> tuple[str, ...]:
    return tuple(service.depends_on)


def _sorted(services: dict[str, ServiceConfig]) -> dict[str, ServiceConfig]:
    return dict(sorted(services.items()))


def _reversed(edges: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    back: dict[str, list[str]] = {}
    for name, targets in edges.items():
        for target in targets:
            back.setdefault(target, []).append(name)
    return {name: tuple(sources) for name, sources in back.items()}


def _reach(start: Iterable[str], edges: dict[str, tuple[str, ...]]) -> set[str]:
    seen: set[str] = set()
    queue = list(start)
    while queue:
        for target in edges.get(queue.pop(), ()):
            if target in edges and target not in seen:
                seen.add(target)
                queue.append(target)
    return seen
