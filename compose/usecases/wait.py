"""Wait until containers of services have ended, and tell how; each in a plan of its own right, which holds nobody up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.reconcile.plan import PlanBuilder
from compose.usecases import containers
from runtime.errors import Unavailable, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.client.client import Client


def wait(client: Client, project: str, services: Sequence[str], on_exit: Callable[[str, int], None]) -> int:
    """Wait for all running containers of the services; the exit code of the one that ended last.

    `on_exit(id, code)` is called as each ends. Raises ComposeError if none runs.
    """
    found = [each for each in containers.of_project(client, project, services) if containers.is_active(each)]
    if not found:
        raise ComposeError(f'no containers for project "{project}"')
    builder = PlanBuilder()
    waits: dict[int, str] = {}
    for container in found:
        name = containers.name_of(container)
        number = builder.add(
            "WaitContainer",
            subject=f"container:{name}",
            resource=f"container {name}",
            cause="wait",
            args={"Containers": [container["Id"]], "Condition": "exited"},
        )
        waits[number] = container["Id"]
    code = 0
    # of no project: a plan of the project would have to wait for this one
    for event in client.submit(builder.build("").to_wire()):
        if event.get("status") == "finished":
            if event.get("error"):
                raise from_wire(event["error"])
            return code
        said = (event.get("result") or {}).get("ExitCode")
        if said is not None:
            code = int(said)
            on_exit(waits[event["op"]], code)
    raise Unavailable("engine went away while containers were waited for")
