"""Show what containers wrote, in the order of time, or go on as they write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import Record
from compose.usecases import containers, logsource
from compose.usecases.attachedlog import keeps_no_log
from compose.usecases.follow import Follower
from runtime.client import logfiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.usecases.report import LogSink
    from runtime.client.client import Client
    from runtime.wire.containers import ContainerInspect


class LogsRequest(Record):
    """Options of `logs`; times are RFC 3339 without Z, `tail` None is everything."""

    services: tuple[str, ...] = ()
    index: int = 0
    follow: bool = False
    tail: int | None = None
    since: str = ""
    until: str = ""


def logs(
    client: Client,
    project: Project | None,
    name: str,
    request: LogsRequest,
    sink: LogSink,
    *,
    warn: Callable[[str], None],
) -> None:
    """Print the logs; with `follow` until no container is left that could write. Raises NoSuchService, ComposeError.

    `warn` is told of containers whose logs are kept nowhere.
    """
    containers.check_services(project, request.services)
    services = request.services or _attached(project)
    if request.index:
        chosen = [containers.specified(client, name, services[0], request.index, all=True)]
    else:
        chosen = containers.of_project(client, name, services, all=True)
    for container in chosen:
        if keeps_no_log(container):
            unreadable = "configured logging driver does not support reading"
            warn(f'Can\'t retrieve logs for "{containers.name_of(container)}": {unreadable}')
    if request.follow:
        _follow(client, name, request, sink, services, chosen)
        return
    sink.register(containers.log_name(container) for container in chosen)
    sources = [
        logsource.read(client, container, tail=request.tail, since=request.since, until=request.until)
        for container in chosen
    ]
    for index, block in logfiles.merge(sources):
        sink.block(containers.log_name(chosen[index]), block)
    sink.flush()


def _follow(
    client: Client,
    name: str,
    request: LogsRequest,
    sink: LogSink,
    services: tuple[str, ...],
    chosen: list[ContainerInspect],
) -> None:
    only = {container["Id"] for container in chosen} if request.index else None

    def wanted(container: ContainerInspect) -> bool:
        if only is not None:
            return container["Id"] in only
        return not services or containers.service_of(container) in services

    follower = Follower(client, name, sink, wanted=wanted, tail=request.tail, since=request.since, until=request.until)
    follower.begin()
    follower.run()


def _attached(project: Project | None) -> tuple[str, ...]:
    """The services whose output is shown when none is named: those without `attach: false`."""
    if project is None:
        return ()
    return tuple(service.name for service in project.services.values() if service.attach is not False)
