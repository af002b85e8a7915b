"""Makes what a project implies explicit: the default network, implied dependencies, names of resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.loader.shortforms import clean_path
from compose.loader.tree import Map, Seq

if TYPE_CHECKING:
    from compose.loader.environment import Environment

_NAMESPACES = ("network_mode", "ipc", "pid", "uts", "cgroup")


def normalize(tree: Map, project: str, environment: Environment) -> None:
    """Complete a canonical tree, in place."""
    services = tree.get("services")
    if isinstance(services, Map):
        _join_default_network(tree, services)
        for service in services.values():
            if isinstance(service, Map):
                _service(service, environment)
    for kind in ("networks", "volumes", "configs", "secrets"):
        resources = tree.get(kind)
        if isinstance(resources, Map):
            _name_resources(resources, project)


def _join_default_network(tree: Map, services: Map) -> None:
    used = False
    for service in services.values():
        if not isinstance(service, Map) or "provider" in service or "network_mode" in service:
            continue
        if not service.get("networks"):
            service["networks"] = Map([("default", None)], service.mark)
        used = used or "default" in service["networks"]
    networks = tree.get("networks")
    if used and not (isinstance(networks, Map) and "default" in networks):
        if not isinstance(networks, Map):
            tree["networks"] = networks = Map(mark=tree.mark)
        networks["default"] = None


def _service(service: Map, environment: Environment) -> None:
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    build = service.get("build")
    if isinstance(build, Map):
        if build.get("context") is None:
            build["context"] = "."
        if build.get("dockerfile") is None and build.get("dockerfile_inline") is None:
            build["dockerfile"] = "Dockerfile"
        if "args" in build:
            build["args"] = _resolve(build["args"], environment, keep_unset=False)
    if "environment" in service:
        service["environment"] = _resolve(service["environment"], environment, keep_unset=True)
    for volume in service.get("volumes") or ():
        if isinstance(volume, Map) and isinstance(volume.get("target"), str):
            volume["target"] = clean_path(volume["target"]) or "."
    _imply_dependencies(service)
    _image_of_hooks(service)


def _imply_dependencies(service: Map) -> None:
    implied: list[tuple[str, bool, Any]] = []
    for link, mark in _texts(service, "links"):
        parts = link.split(":")
        implied.append((parts[0] if len(parts) == 2 else link, True, mark))
    for namespace in _NAMESPACES:
        reference = service.get(namespace)
        if isinstance(reference, str) and reference.startswith("service:"):
            implied.append((reference.removeprefix("service:"), True, service.mark_of(namespace)))
    for source, mark in _texts(service, "volumes_from"):
        if not source.startswith("container:"):
            implied.append((source.split(":")[0], False, mark))
    if not implied:
        return
    depends_on = service.get("depends_on")
    if not isinstance(depends_on, Map):
        service["depends_on"] = depends_on = Map(mark=service.mark)
    for target, restart, mark in implied:
        if target not in depends_on:
            edge = Map([("condition", "service_started"), ("restart", restart), ("required", True)], mark)
            depends_on.put(target, edge, mark)


def _texts(service: Map, key: str) -> list[tuple[str, Any]]:
    value = service.get(key)
    return [(item, mark) for item, mark in value.marked() if isinstance(item, str)] if isinstance(value, Seq) else []


def _image_of_hooks(service: Map) -> None:
    image = service.get("image")
    hooks = service.get("pre_start")
    if isinstance(image, str) and image and isinstance(hooks, Seq):
        for hook in hooks:
            if isinstance(hook, Map):
                hook.setdefault("image", image)


def _resolve(value: Any, environment: Environment, *, keep_unset: bool) -> Any:
    """Values left out are taken from the project's environment; unset ones are kept as null or dropped."""
    if isinstance(value, Map):
        made = Map(mark=value.mark)
        for key, item in value.items():
            found = environment.lookup(key) if item is None else item
            if found is not None or keep_unset:
                made.put(key, found, value.marks.get(key))
        return made
    if isinstance(value, Seq):
        lines = Seq(mark=value.mark)
        for item, mark in value.marked():
            line = item
            if isinstance(item, str) and "=" not in item:
                found = environment.lookup(item)
                if found is not None:
                    line = f"{item}={found}"
                elif not keep_unset:
                    continue
            lines.add(line, mark)
        return lines
    return value


def _name_resources(resources: Map, project: str) -> None:
    for key, value in resources.items():
        resource = value
        if resource is None:
            resources[key] = resource = Map(mark=resources.mark_of(key))
        if isinstance(resource, Map) and resource.get("name") is None:
            resource["name"] = key if is_true(resource.get("external")) else f"{project}_{key}"


def is_true(value: Any) -> bool:
    """Whether a boolean, or its text, is true."""
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1", "t"))
