"""Find what the user should know before a project runs whose files came from elsewhere.

A remote file may take values of the caller's environment, and name anything of this machine by an absolute path: neither
is a mistake, so neither is refused, but both are the user's to allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compose.loader.remotes import inside, is_remote
from compose.usecases.projects import load_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compose.loader.remotes import Remote
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.usecases.projects import ProjectRequest

ROOTS = frozenset({"privileged", "use_api_socket"})
"""Attributes that give a service the host if they are set."""
SHARED = ("network_mode", "pid", "ipc", "userns_mode", "cgroup", "uts")
"""Attributes that can be `host`."""


class Mention(NamedTuple):
    """A variable that the files mention, its value, and where that is from."""

    name: str
    value: str
    source: str
    required: bool
    default: str


def mentions(request: ProjectRequest, project: Project) -> list[Mention]:
    """The variables that the project's files mention, by name. Raises LoadError."""
    from compose.loader.variables import variables

    found = []
    for name, variable in variables(load_options(request)).items():
        if name in request.environ:
            value, source = request.environ[name], "environment"
        elif name in project.environment:
            value, source = project.environment[name], "env file"
        elif variable.default:
            value, source = variable.default, "compose file"
        else:
            value, source = "<unset>", "none"
        found.append(Mention(name, value, source, variable.required, variable.default))
    return found


def host_access(request: ProjectRequest, project: Project, remotes: Iterable[Remote]) -> list[str]:
    """What remote files take of this machine beyond what came with them, a line each. Raises LoadError."""
    from compose.loader.cache import load

    roots = [remote.directory for remote in remotes]
    # env files are still named here: in the project itself they are variables already
    named = load(load_options(request).replace(resolve_environment=False, conflicts=False)).project
    found: list[str] = []
    for name, service in project.services.items():
        found += [f"service {name}: {line}" for line in _of_service(project, service, roots)]
        files = named.all_services[name].env_file
        for index, file in enumerate(files):
            if _leads_out(named, f"services.{name}.env_file[{index}]", file.path, roots):
                found.append(f"service {name}: variables of {file.path}")
    for kind, objects in (("configs", project.configs), ("secrets", project.secrets)):
        for name, each in objects.items():
            if each.file and _leads_out(project, f"{kind}.{name}.file", each.file, roots):
                found.append(f"{kind.removesuffix('s')} {name}: content of {each.file}")
    for name, volume in project.volumes.items():
        device = volume.driver_opts.get("device", "")
        if device and _leads_out(project, f"volumes.{name}", device, roots):
            found.append(f"volume {name}: {device}")
    return found


def _of_service(project: Project, service: ServiceConfig, roots: list[str]) -> Iterator[str]:
    path = f"services.{service.name}"
    for index, volume in enumerate(service.volumes):
        if volume.type == "bind" and _leads_out(project, f"{path}.volumes[{index}]", volume.source, roots):
            yield f"bind mount of {volume.source}"
    if service.build is not None and _leads_out(project, f"{path}.build.context", service.build.context, roots):
        yield f"build of {service.build.context}"
    if service.provider is not None and _is_foreign(project, f"{path}.provider"):
        yield f"runs the program of provider {service.provider.type}"
    for index, device in enumerate(service.devices):
        if _is_foreign(project, f"{path}.devices[{index}]"):
            yield f"device {device.source}"
    for attribute in sorted(ROOTS):
        if getattr(service, attribute) and _is_foreign(project, f"{path}.{attribute}"):
            yield f"{attribute}: true"
    for attribute in SHARED:
        if getattr(service, attribute) == "host" and _is_foreign(project, f"{path}.{attribute}"):
            yield f"{attribute}: host"


def _is_foreign(project: Project, path: str) -> bool:
    mark = project.mark(path)
    return mark is not None and is_remote(mark.file)


def _leads_out(project: Project, path: str, place: str, roots: list[str]) -> bool:
    """Whether a remote file names a path of this machine that did not come with it."""
    return place.startswith("/") and _is_foreign(project, path) and not any(inside(place, root) for root in roots)
