"""Make the body of CreateContainer: Docker Compose's own mapping of a service to Docker's terms, and a little more.

More: what an engine that stands without us must know: dependencies as label selectors (for the start after a reboot)
and the group whose members may share a host port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compose.graph import edges
from compose.reconcile import labels
from compose.reconcile.body_config import container_config
from compose.reconcile.body_host import host_config
from compose.reconcile.body_mounts import inline_files
from compose.reconcile.body_network import endpoints

if TYPE_CHECKING:
    from compose.reconcile.instance import Instance
    from runtime.wire.containers import CreateContainer, Dependency


def create_container(instance: Instance) -> CreateContainer:
    """The arguments of CreateContainer; raises ComposeError for what cannot be expressed."""
    body: dict[str, Any] = {
        "Name": instance.temporary_name if instance.replaces else instance.name,
        "Config": container_config(instance),
        "HostConfig": host_config(instance),
        "EndpointsConfig": endpoints(instance),
        "Dependencies": dependencies(instance),
        "PortGroup": f"{instance.project.name}/{instance.service.name}",
    }
    if instance.replaces and instance.inherit_volumes:
        body["InheritVolumesFrom"] = instance.replaces
    if files := inline_files(instance.project, instance.service):
        body["Files"] = files
    return cast("CreateContainer", body)


def dependencies(instance: Instance) -> list[Dependency]:
    """What must hold before the engine starts the container by itself."""
    return [
        cast(
            "Dependency",
            {
                "Labels": labels.service_selector(instance.project.name, name),
                "Condition": edge.condition,
                "Required": edge.required,
                "Restart": edge.restart,
            },
        )
        for name, edge in edges(instance.service).items()
    ]
