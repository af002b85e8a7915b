"""Volumes by themselves: which there are, and plans that create and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.reconcile.labels import PROJECT
from compose.reconcile.plan import Plan, PlanBuilder
from compose.usecases import containers, outcomes
from compose.usecases.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.client.client import Client

LIST_FILTERS = ("dangling", "driver", "label", "name")
PRUNE_FILTERS = ("all", "label", "label!")
ANONYMOUS = "com.docker.volume.anonymous"
KEYS = ("CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope")


def listed(client: Client, given: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Volumes that pass Docker's filters. Raises ComposeError for a filter that there is not."""
    filters = Filters(given, LIST_FILTERS)
    dangling = filters.boolean("dangling")
    return [
        volume
        for volume in client.volumes()
        if filters.matches("name", volume["Name"])
        and filters.exactly("driver", volume["Driver"])
        and filters.labelled(volume["Labels"])
        and (dangling is None or dangling == (not volume["UsageData"]["RefCount"]))
    ]


def of_project(client: Client, project: str, services: Iterable[str] = ()) -> list[dict[str, Any]]:
    """A project's volumes, or those of them that containers of some services mount."""
    found = listed(client, [f"label={PROJECT}={project}"])
    wanted = tuple(services)
    if not wanted:
        return found
    mounted = {
        mount.get("Name")
        for container in containers.of_project(client, project, wanted, all=True)
        for mount in container.get("Mounts") or ()
    }
    return [volume for volume in found if volume["Name"] in mounted]


def described(volume: Mapping[str, Any]) -> dict[str, Any]:
    """A volume with the keys and in the order of Docker's inspect; no labels or options at all are null."""
    maps = {key: dict(sorted(volume[key].items())) or None for key in ("Labels", "Options")}
    return {key: maps[key] if key in maps else volume[key] for key in KEYS}


def creation(name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Plan:
    """The plan that creates one volume; without a name an anonymous one."""
    builder = PlanBuilder()
    builder.add(
        "CreateVolume",
        subject=f"volume:{name or '(anonymous)'}",
        resource=f"volume {name}".strip(),
        cause="created",
        args={"Name": name, "Driver": driver, "DriverOpts": dict(options), "Labels": dict(labels)},
    )
    return builder.build("")


def removal(names: Sequence[str], cause: str = "rm") -> Plan:
    """The plan that removes volumes, each for itself."""
    return outcomes.removals("RemoveVolume", names, cause)


class Unused:
    """What `volume prune` removes: local volumes that nothing mounts, named ones only if asked for.

    A volume with driver options is never one of them, as with Docker: its data lies elsewhere.
    """

    def __init__(self, client: Client, given: Iterable[str], *, all: bool) -> None:
        """Raises ComposeError for filters that there are not or that contradict each other."""
        filters = Filters(given, PRUNE_FILTERS)
        if all and "all" in filters:
            raise ComposeError("conflicting options: cannot specify both --all and --filter all=1")
        everything = all or bool(filters.boolean("all"))
        self.everything = everything
        self._client = client
        self.names = [
            volume["Name"]
            for volume in client.volumes()
            if not volume["UsageData"]["RefCount"]
            and volume["Driver"] == "local"
            and not volume["Options"]
            and (everything or ANONYMOUS in volume["Labels"])
            and filters.labelled(volume["Labels"])
            and not filters.keeps(volume["Labels"])
        ]

    def plan(self) -> Plan:
        """The plan that removes them."""
        return removal(self.names, "unused")

    def remove(self) -> tuple[list[str], int]:
        """Remove them; the names of those that are gone, and the bytes that were in them."""
        measured = self._client.volumes(sizes_of=self.names) if self.names else []
        sizes = {each["Name"]: max(each["UsageData"]["Size"], 0) for each in measured}
        done = outcomes.submit(self._client, self.plan())
        gone = [str(each.operation.args["Name"]) for each in done if each.changed]
        return gone, sum(sizes.get(name, 0) for name in gone)
