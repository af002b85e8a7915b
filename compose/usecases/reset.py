"""Remove everything that the engine ever put on this machine.

An engine that answers first takes down, by a plan, what it runs; what is left then, or all of it where no engine
answers, is removed from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.reconcile.plan import Plan, PlanBuilder
from compose.usecases import containers
from compose.usecases.execute import submit
from runtime.client import autostart
from runtime.client import reset as program
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.usecases.report import Reporter
    from runtime.client.client import Client

PREDEFINED = frozenset({"bridge", "host", "none"})
KINDS = ("containers", "networks", "volumes")


def plan(client: Client) -> Plan:
    """What an engine that answers does itself; empty when none answers. Nothing that fails in it stops the rest."""
    builder = PlanBuilder()
    if not program.answers(client.paths):
        return builder.build("")
    snapshot = client.snapshot("")
    removals = []
    for found in snapshot["Containers"]:
        name = containers.name_of(found)
        shared: dict[str, Any] = {"subject": f"container:{name}", "resource": f"container {name}", "optional": True}
        stop = None
        if containers.is_active(found):
            stop = builder.add("StopContainer", cause="reset", args={"Container": found["Id"]}, **shared)
        args = {"Container": found["Id"], "Force": True, "Volumes": True}
        removals.append(builder.add("RemoveContainer", cause="reset", depends=[stop], args=args, **shared))
    for network in snapshot["Networks"]:
        if network["Name"] not in PREDEFINED:
            builder.add(
                "RemoveNetwork",
                subject=f"network:{network['Name']}",
                resource=f"network {network['Name']}",
                cause="reset",
                depends=removals,
                args={"Name": network["Name"]},
                optional=True,
            )
    return builder.build("")


def inventory(client: Client) -> dict[str, Any]:
    """All there is; see runtime.reset.inventory. Raises the EngineError it is refused with."""
    return program.inventory(client.paths)


def is_empty(found: Mapping[str, Any]) -> bool:
    """Whether there is nothing to remove."""
    keys = ("folders", "processes", "interfaces", "tables", "rules", "cgroups")
    return not any(found[key] for key in keys)


def describe(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is there, in lines of a kind and words; kinds without anything are left out."""
    words = {kind: _count(found[kind]) for kind in KINDS}
    if found["running"]:
        words["containers"] += f"; running: {len(found['running'])}"
    if found["volumes"]:
        words["volumes"] += ", with all data in them"
    kernel = {
        "images": str(found["images"] or ""),
        "processes": str(found["processes"] or ""),
        "interfaces": ", ".join(found["interfaces"]),
        "firewall": ", ".join(f"table {name}" for name in found["tables"]),
        "DOCKER-USER": ", ".join(f"rules for {name}" for name in found["rules"]),
        "cgroups": str(len(found["cgroups"]) or ""),
        "mounts": ", ".join(found["mounts"]),
        "directories": ", ".join(found["folders"]),
    }
    return [(kind, text) for kind, text in {**words, **kernel}.items() if text]


def reset(client: Client, steps: Plan, reporter: Reporter) -> list[str]:
    """Remove it all; what could not be removed, one line each."""
    if program.answers(client.paths):
        try:
            submit(client, steps, reporter)
            client.stop(containers=True)
            autostart.wait_for_end(client.paths)
        except EngineError as error:
            reporter.warn(f"{error.message}; going on without the engine")
    client.close()
    return program.remove(client.paths)


def _count(names: list[str]) -> str:
    return f"{len(names)}: {', '.join(names)}" if names else ""
