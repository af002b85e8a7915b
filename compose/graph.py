"""Order services by what they need; linear in services and edges, never recursive.

An edge goes from a service to one it needs. Besides `depends_on` there are implied ones: links and shared namespaces
(the dependent is restarted with what it shares), and `volumes_from` (it is not).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from compose.errors import ConsistencyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Protocol

    class Dependency(Protocol):
        """An entry of `depends_on`."""

        @property
        def condition(self) -> str: ...
        @property
        def required(self) -> bool: ...
        @property
        def restart(self) -> bool: ...

    class Service(Protocol):
        """What the graph reads of a service."""

        @property
        def depends_on(self) -> Mapping[str, Dependency]: ...
        @property
        def links(self) -> Iterable[str]: ...
        @property
        def volumes_from(self) -> Iterable[str]: ...
        @property
        def network_mode(self) -> str: ...
        @property
        def ipc(self) -> str: ...
        @property
        def pid(self) -> str: ...
        @property
        def uts(self) -> str: ...
        @property
        def cgroup(self) -> str: ...


SERVICE_PREFIX = "service:"
CONTAINER_PREFIX = "container:"
NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")
"""Attributes that may say `service:NAME`."""


class Edge(NamedTuple):
    """Why and how one service needs another."""

    condition: str = "service_started"
    required: bool = True
    restart: bool = False


def service_in_mode(mode: str) -> str:
    """The service named by `service:NAME`, or ""."""
    return mode.removeprefix(SERVICE_PREFIX) if mode.startswith(SERVICE_PREFIX) else ""


def services_shared(service: Service) -> dict[str, str]:
    """Namespace attribute to the service whose namespace is shared, for those that say `service:NAME`."""
    modes = ((attribute, service_in_mode(getattr(service, attribute))) for attribute in NAMESPACES)
    return {attribute: name for attribute, name in modes if name}


def volume_services(service: Service) -> tuple[str, ...]:
    """The services whose volumes are taken over by `volumes_from`."""
    return tuple(source.partition(":")[0] for source in service.volumes_from if not source.startswith(CONTAINER_PREFIX))


def edges(service: Service) -> dict[str, Edge]:
    """Everything the service needs by name; what `depends_on` says beats what is implied."""
    found = {name: Edge(said.condition, said.required, said.restart) for name, said in service.depends_on.items()}
    for name in (*services_shared(service).values(), *(link.partition(":")[0] for link in service.links)):
        found.setdefault(name, Edge(restart=True))
    for name in volume_services(service):
        found.setdefault(name, Edge())
    return found


class DependencyGraph:
    """Services and their edges; an edge to a service that is not among them is left out."""

    def __init__(self, needs: Mapping[str, Mapping[str, Edge]]) -> None:
        self._needs = {
            name: {target: edge for target, edge in targets.items() if target in needs}
            for name, targets in needs.items()
        }
        self._needed_by: dict[str, dict[str, Edge]] = {name: {} for name in needs}
        for name, targets in self._needs.items():
            for target, edge in targets.items():
                self._needed_by[target][name] = edge

    @classmethod
    def of(cls, services: Mapping[str, Service]) -> DependencyGraph:
        """The graph of these services."""
        return cls({name: edges(service) for name, service in services.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self._needs)

    def __contains__(self, name: object) -> bool:
        return name in self._needs

    def dependencies(self, name: str) -> Mapping[str, Edge]:
        """What the service needs, directly."""
        return self._needs.get(name, {})

    def dependents(self, name: str) -> Mapping[str, Edge]:
        """What needs the service, directly."""
        return self._needed_by.get(name, {})

    def descendants(self, names: Iterable[str]) -> frozenset[str]:
        """Everything the named services need, transitively; without themselves unless something leads back."""
        return _reach(names, self._needs)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Everything that needs the named services, transitively."""
        return _reach(names, self._needed_by)

    def order(self) -> tuple[str, ...]:
        """All services, each after what it needs, ties in the given order; raises ConsistencyError on a cycle."""
        missing = {name: len(targets) for name, targets in self._needs.items()}
        ready = deque(name for name, count in missing.items() if not count)
        ordered: list[str] = []
        while ready:
            name = ready.popleft()
            ordered.append(name)
            for dependent in self._needed_by[name]:
                missing[dependent] -= 1
                if not missing[dependent]:
                    ready.append(dependent)
        if len(ordered) < len(missing):
            raise ConsistencyError(f"dependency cycle detected: {' -> '.join(self.cycle())}")
        return tuple(ordered)

    def cycle(self) -> tuple[str, ...]:
        """The first cycle found, its first name repeated at the end (`a, b, a`); empty if there is none."""
        done: set[str] = set()
        for root in self._needs:
            found = self._cycle_from(root, done)
            if found:
                return found
        return ()

    def _cycle_from(self, root: str, done: set[str]) -> tuple[str, ...]:
        if root in done:
            return ()
        path: dict[str, None] = {root: None}
        stack = [(root, iter(self._needs[root]))]
        while stack:
            name, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                stack.pop()
                path.pop(name)
                done.add(name)
            elif target in path:
                names = list(path)
                return (*names[names.index(target) :], target)
            elif target not in done:
                path[target] = None
                stack.append((target, iter(self._needs[target])))
        return ()


def _reach(names: Iterable[str], edges_of: Mapping[str, Iterable[str]]) -> frozenset[str]:
    seen: set[str] = set()
    queue = list(names)
    while queue:
        for target in edges_of.get(queue.pop(), ()):
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return frozenset(seen)
