"""Checks of what belongs together in a project; each rule looks at one service or at all of them.

Rules that miss something pass over services that already have a problem: it may be what was taken out there.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from compose.loader.examination import Checks
from compose.model.project import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.report import Report
    from compose.loader.tree import Path
    from compose.model.project import Project
    from compose.model.service import ServiceConfig

    Rule = Callable[["Checks", ServiceConfig], None]


def check(project: Project, report: Report, *, conflicts: bool = True, selected: tuple[str, ...] = ()) -> Project:
    """Report what is inconsistent; the project comes back with `deploy.replicas` in step with `scale`.

    Conflicts are looked for among the `selected` services and what these need, all enabled ones if none is selected.
    """
    checks = Checks(project, report)
    for service in project.services.values():
        damaged = report.is_damaged("services", service.name)
        for rule in RULES:
            if not (damaged and rule in NEED_WHOLE):
                rule(checks, service)
    _secrets(checks)
    _cycles(checks)
    if conflicts:
        from compose.loader.conflicts import find_conflicts
        from compose.loader.faults import find_faults

        known = [name for name in selected if name in project.all_services]
        checks = Checks(project.with_enabled(known).with_selected(known), report)
        find_faults(checks)
        find_conflicts(checks)
    return project.replace(services={name: in_step(service) for name, service in project.services.items()})


def in_step(service: ServiceConfig) -> ServiceConfig:
    """The service with `deploy.replicas` as `scale` says."""
    if service.scale is None or service.deploy is None or service.deploy.replicas == service.scale:
        return service
    return service.replace(deploy=service.deploy.replace(replicas=service.scale))


def _source(checks: Checks, service: ServiceConfig) -> None:
    if service.build is None and not service.image and service.provider is None:
        checks.fail(
            f'service "{service.name}" has neither an image nor a build context specified: invalid compose project',
            ("services", service.name),
            expected="`image:`, `build:` or `provider:`",
        )


def _build(checks: Checks, service: ServiceConfig) -> None:
    build = service.build
    if build is None:
        return
    path: Path = ("services", service.name, "build")
    if build.dockerfile_inline and build.dockerfile:
        checks.fail(
            f'service "{service.name}" declares mutualy exclusive dockerfile and dockerfile_inline: invalid compose'
            " project",
            (*path, "dockerfile_inline"),
            related=(checks.mark((*path, "dockerfile")),),
        )
    for name, context in build.additional_contexts.items():
        if not context.startswith("service:"):
            continue
        target = context.removeprefix("service:")
        other = checks.project.services.get(target)
        if other is None or other.build is None:
            kind = "unknown" if other is None else "non-buildable"
            checks.fail(
                f'service "{service.name}" declares {kind} service "{target}" as additional contexts {name}',
                (*path, "additional_contexts", name),
                suggestion=nearest(target, checks.project.services) if other is None else "",
            )
    if build.platforms and service.platform and service.platform not in build.platforms:
        checks.fail(
            f'service.build.platforms MUST include service.platform "{service.platform}": invalid compose project',
            (*path, "platforms"),
            related=(checks.mark(("services", service.name, "platform")),),
        )


def _networks(checks: Checks, service: ServiceConfig) -> None:
    path: Path = ("services", service.name)
    if service.network_mode and service.networks:
        checks.fail(
            f"service {service.name} declares mutually exclusive `network_mode` and `networks`: invalid compose project",
            (*path, "network_mode"),
            related=(checks.mark((*path, "networks")),),
        )
        return  # whether the networks are there does not matter: they must go
    target = service.network_mode.removeprefix("service:")
    if target != service.network_mode and target not in {**checks.project.services, **service.depends_on}:
        checks.fail(f"service \"{target}\" not found for network_mode 'service:{target}'", (*path, "network_mode"))
    for name in service.networks:
        checks.undefined(service, "network", "networks", name, (*path, "networks", name))


def _healthcheck(checks: Checks, service: ServiceConfig) -> None:
    health = service.healthcheck
    if health is not None and health.test and health.test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        checks.fail(
            'healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"',
            ("services", service.name, "healthcheck", "test"),
            expected=f'a list that begins with CMD, or a string, not "{health.test[0]}"',
        )


def _depends_on(checks: Checks, service: ServiceConfig) -> None:
    project = checks.project
    for name, edge in service.depends_on.items():
        if name in project.services or checks.report.is_damaged("services", name):
            continue
        disabled = project.disabled_services.get(name)
        if disabled is not None and not edge.required:
            continue
        checks.fail(
            f'service "{service.name}" depends on undefined service "{name}": invalid compose project',
            ("services", service.name, "depends_on", name),
            expected=f"profile {' or '.join(disabled.profiles)} to be active" if disabled is not None else "",
            suggestion="" if disabled is not None else nearest(name, project.services),
        )


def _volumes(checks: Checks, service: ServiceConfig) -> None:
    for index, volume in enumerate(service.volumes):
        path: Path = ("services", service.name, "volumes", index)
        if volume.type == "volume" and volume.source:
            checks.undefined(service, "volume", "volumes", volume.source, path)


def _references(checks: Checks, service: ServiceConfig) -> None:
    path: Path = ("services", service.name)
    for index, secret in enumerate(service.build.secrets if service.build is not None else ()):
        checks.undefined(service, "build secret", "secrets", secret.source, (*path, "build", "secrets", index))
    for index, config in enumerate(service.configs):
        checks.undefined(service, "config", "configs", config.source, (*path, "configs", index))
    for name in service.models:
        checks.undefined(service, "model", "models", name, (*path, "models", name))
    for index, secret in enumerate(service.secrets):
        checks.undefined(service, "secret", "secrets", secret.source, (*path, "secrets", index))


def _scale(checks: Checks, service: ServiceConfig) -> None:
    path: Path = ("services", service.name)
    replicas = service.deploy.replicas if service.deploy is not None else None
    if service.scale is not None and replicas is not None and service.scale != replicas:
        _distinct(checks, service, "scale", ("deploy", "replicas"))
    for value, where in ((service.scale, ("scale",)), (replicas, ("deploy", "replicas"))):
        if value is not None and value < 0:
            name = ".".join(where)
            checks.fail(f"services.{service.name}.{name}: must be greater than or equal to 0", (*path, *where))
    if service.container_name and service.replicas > 1:
        attribute = "scale" if service.scale is not None else "deploy.replicas"
        checks.fail(
            f"services.{service.name}: can't set container_name and {attribute} as container name must be unique:"
            " invalid compose project",
            (*path, "container_name"),
            related=(checks.mark((*path, *attribute.split("."))),),
        )


def _limits(checks: Checks, service: ServiceConfig) -> None:
    if service.deploy is None:
        return
    limits, reserved = service.deploy.resources.limits, service.deploy.resources.reservations
    if limits is not None:
        if service.cpus and limits.cpus != service.cpus:
            _distinct(checks, service, "cpus", ("deploy", "resources", "limits", "cpus"))
        if service.mem_limit and limits.memory != service.mem_limit:
            _distinct(checks, service, "mem_limit", ("deploy", "resources", "limits", "memory"))
        if service.pids_limit and limits.pids != service.pids_limit:
            _distinct(checks, service, "pids_limit", ("deploy", "resources", "limits", "pids"))
    if reserved is not None and service.mem_reservation and reserved.memory != service.mem_reservation:
        _distinct(checks, service, "mem_reservation", ("deploy", "resources", "reservations", "memory"))


def _distinct(checks: Checks, service: ServiceConfig, name: str, other: tuple[str, ...]) -> None:
    path: Path = ("services", service.name)
    checks.fail(
        f"services.{service.name}: can't set distinct values on '{name}' and '{'.'.join(other)}':"
        " invalid compose project",
        (*path, name),
        related=(checks.mark((*path, *other)),),
    )


def _develop(checks: Checks, service: ServiceConfig) -> None:
    for index, rule in enumerate(service.develop.watch if service.develop is not None else ()):
        if not rule.target and rule.action not in ("rebuild", "restart"):
            checks.fail(
                f"services.{service.name}.develop.watch: target is required for non-rebuild actions:"
                " invalid compose project",
                ("services", service.name, "develop", "watch", index),
            )


def _mounts(checks: Checks, service: ServiceConfig) -> None:
    mounted: dict[str, tuple[str, Path]] = {}
    targets = [(entry.partition(":")[0], "tmpfs", index) for index, entry in enumerate(service.tmpfs)]
    targets += [(volume.target, "volumes", index) for index, volume in enumerate(service.volumes)]
    for target, kind, index in targets:
        where = f"services.{service.name}.{kind}[{index}]"
        path: Path = ("services", service.name, kind, index)
        if target in mounted:
            first, first_path = mounted[target]
            related = (checks.mark(first_path),)
            checks.fail(f"{where}: target {target} already mounted as {first}", path, related=related)
        mounted[target] = (where, path)


RULES: tuple[Rule, ...] = (
    _source,
    _build,
    _networks,
    _healthcheck,
    _depends_on,
    _volumes,
    _references,
    _scale,
    _limits,
    _develop,
    _mounts,
)

NEED_WHOLE = frozenset((_source, _develop))
"""Rules about what is missing."""


def _secrets(checks: Checks) -> None:
    for name, secret in checks.project.secrets.items():
        if secret.external or secret.file or secret.environment or checks.report.is_damaged("secrets", name):
            continue
        checks.fail(
            f'secret "{name}" must declare either `file` or `environment`: invalid compose project', ("secrets", name)
        )


def _cycles(checks: Checks) -> None:
    """Depth first without recursion: a chain may be as long as the file."""
    services = checks.project.services
    done: set[str] = set()
    for start in sorted(services):
        if start in done:
            continue
        way = [start]
        on_way = {start}
        waiting = [iter(sorted(services[start].depends_on))]
        while waiting:
            target = next(waiting[-1], None)
            if target is None:
                waiting.pop()
                on_way.remove(way[-1])
                done.add(way.pop())
            elif target in on_way:
                circle = [*way[way.index(target) :], target]
                marks = [
                    checks.mark(("services", name, "depends_on", following))
                    for name, following in itertools.pairwise(circle)
                ]
                checks.fail(
                    f"dependency cycle detected: {' -> '.join(circle)}",
                    ("services", way[-1], "depends_on", target),
                    related=marks[:-1],
                )
                return
            elif target in services and target not in done:
                way.append(target)
                on_way.add(target)
                waiting.append(iter(sorted(services[target].depends_on)))
