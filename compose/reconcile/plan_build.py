"""Plan builds: which images of services must be built and why, in which order, and what the builder is told.

Pure: what only the client can read (secrets, agents, credentials, Dockerfiles) comes as `Inputs`. Services with the same
definition are one build with the names of all; a build waits for those whose images it starts from and for no other.
"""

from __future__ import annotations

import json
import posixpath
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from compose.errors import ConsistencyError
from compose.graph import service_in_mode
from compose.model.naming import image_name
from compose.model.record import Record
from compose.reconcile import labels
from compose.reconcile.nothing import NOTHING
from compose.reconcile.plan_images import is_for, platform_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compose.model.build import BuildConfig
    from compose.model.limits import UlimitsConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import PlanBuilder

BUILD = "build"
"""The pull policy that builds always."""
INSECURE = "security.insecure"
DEFAULT_PLATFORM = "DOCKER_DEFAULT_PLATFORM"
WITHOUT_EFFECT = ("isolation", "provenance", "sbom")
IMAGE_CONTEXT = "docker-image://"
LOCAL_CACHE = {"cache_from": "src", "cache_to": "dest"}
"""The field of a cache of type `local` that is a path."""
IDENTIFYING = frozenset({"Tags", "Labels"})
"""Arguments in which builds of one definition may differ."""


class BuildOptions(Record):
    """What a command line adds to the definitions."""

    args: Mapping[str, str] = NOTHING
    no_cache: bool = False
    pull: bool = False
    several_platforms: bool = False
    """All of `platforms` are built, not only the one that runs here."""
    check: bool = False
    """Only read the Dockerfiles and tell what is found."""


class Inputs(Record):
    """What the client has read for the build of one service."""

    secrets: tuple[Mapping[str, str], ...] = ()
    ssh: tuple[Mapping[str, str], ...] = ()
    access: Mapping[str, Any] = NOTHING
    proxies: Mapping[str, str] = NOTHING
    """Proxy arguments of the user's; they give way to what the definition says."""
    bases: tuple[str, ...] | None = ()
    """Names of images that its Dockerfile uses; None if that cannot be told here."""


NO_INPUTS = Inputs()


def build_causes(
    project: Project, services: Iterable[ServiceConfig], observed: ObservedState, forced: str = ""
) -> dict[str, str]:
    """Services whose images must be built, with the cause, and those that they take as contexts.

    `forced` is the cause of services that are built whatever there is: `build`, `--build`; else the pull policy and what
    is missing decide.
    """
    found: dict[str, str] = {}
    pending = [(service, forced) for service in services]
    while pending:
        service, why = pending.pop(0)
        if service.build is None or service.provider is not None or service.name in found:
            continue
        cause = why or _cause(project, service, observed)
        if not cause:
            continue
        found[service.name] = cause
        inherited = f"a context of {service.name}" if forced else ""
        pending += [(project.all_services[name], inherited) for name in context_services(service.build)]
    return found


def context_services(build: BuildConfig) -> Iterator[str]:
    """The services whose images a build takes as contexts."""
    return filter(None, map(service_in_mode, build.additional_contexts.values()))


def plan_builds(
    builder: PlanBuilder,
    project: Project,
    causes: Mapping[str, str],
    options: BuildOptions,
    inputs: Mapping[str, Inputs],
) -> dict[str, int]:
    """Add the builds of the services in `causes`; service to operation.

    Raises ConsistencyError for services that are built from each other, or for no platform they may have.
    """
    services = {name: project.all_services[name] for name in sorted(causes)}
    arguments = {
        name: build_arguments(project, service, options, inputs.get(name, NO_INPUTS))
        for name, service in services.items()
    }
    needs = _needs(project, services, inputs)
    groups: dict[str, list[str]] = {}
    for name in services:
        groups.setdefault(_definition(arguments[name]), []).append(name)
    graph = _graph(groups.values(), needs)
    if _circle(graph):
        groups = {name: [name] for name in services}
        graph = _graph(groups.values(), needs)
    group_of = {name: group[0] for group in groups.values() for name in group}
    members = {group[0]: group for group in groups.values()}
    added: dict[str, int] = {}
    for first in TopologicalSorter(graph).static_order():
        group = members[first]
        args = dict(arguments[first])
        args["Tags"] = list(dict.fromkeys(tag for name in group for tag in arguments[name]["Tags"]))
        before = {added[group_of[other]] for name in group for other in needs[name]}
        here = {image_name(project, services[other]) for name in group for other in needs[name]}
        if here:
            args["Present"] = sorted(here)
        added[first] = builder.add(
            "BuildImage",
            subject=f"build:{','.join(group)}",
            resource=f"build {','.join(group)}",
            cause=causes[first],
            depends=before,
            args=args,
        )
    return {name: added[group_of[name]] for name in services}


def build_arguments(
    project: Project, service: ServiceConfig, options: BuildOptions, inputs: Inputs = NO_INPUTS
) -> dict[str, Any]:
    """The arguments of a service's BuildImage; raises ConsistencyError. What is not said is left out."""
    build = service.build
    assert build is not None, f"service {service.name} is not built"
    said = {
        "Context": build.context,
        "Dockerfile": build.dockerfile,
        "DockerfileInline": build.dockerfile_inline or None,
        "Tags": list(dict.fromkeys((image_name(project, service), *build.tags))),
        "Target": build.target,
        "BuildArgs": {
            **inputs.proxies,
            **{name: value for name, value in build.args.items() if value is not None},
            **options.args,
        },
        "Labels": {
            **build.labels,
            labels.PROJECT: project.name,
            labels.SERVICE: service.name,
            labels.VERSION: labels.COMPOSE_VERSION,
        },
        "AdditionalContexts": {name: _context(project, value) for name, value in build.additional_contexts.items()},
        "NoCache": build.no_cache or options.no_cache,
        "NoCacheFilter": list(build.no_cache_filter),
        "Pull": build.pull or options.pull,
        "NetworkMode": build.network,
        "Platform": ",".join(platforms(project, service)) if options.several_platforms else platform(project, service),
        "ExtraHosts": [f"{host}:{address}" for host, found in build.extra_hosts.items() for address in found],
        "ShmSize": build.shm_size,
        "Ulimits": [_ulimit(name, limit) for name, limit in build.ulimits.items()],
        "Privileged": build.privileged or INSECURE in build.entitlements,
        "CacheFrom": [_cache(project, "cache_from", text) for text in build.cache_from],
        "CacheTo": [_cache(project, "cache_to", text) for text in build.cache_to],
        "Secrets": [dict(secret) for secret in inputs.secrets],
        "SSH": [dict(agent) for agent in inputs.ssh],
        "Access": dict(inputs.access),
        "Check": options.check,
    }
    return {name: value for name, value in said.items() if value}


def platforms(project: Project, service: ServiceConfig) -> tuple[str, ...]:
    """The platforms that a service's image is built for when `build` is asked for it; raises ConsistencyError."""
    chosen = platform(project, service)
    offered = service.build.platforms if service.build is not None else ()
    return offered or ((chosen,) if chosen else ())


def platform(project: Project, service: ServiceConfig) -> str:
    """The one platform that a service's image is built for to run here; "" is this machine's. Raises ConsistencyError.

    Of several platforms the builder takes its own.
    """
    build = service.build
    offered = build.platforms if build is not None else ()
    default = project.environment.get(DEFAULT_PLATFORM, "")
    if service.platform or not default:
        return service.platform or (offered[0] if len(offered) == 1 else "")
    if offered and default not in offered:
        raise ConsistencyError(
            f'service "{service.name}" build.platforms does not support value set by {DEFAULT_PLATFORM}: {default}'
        )
    return default


def without_effect(project: Project, names: Iterable[str]) -> Iterator[str]:
    """A warning for each attribute of the builds that has no effect."""
    for name in names:
        build = project.all_services[name].build
        if build is None:
            continue
        where = f"services.{name}.build"
        for attribute in WITHOUT_EFFECT:
            if getattr(build, attribute) not in ("", "false"):
                yield f"{where}.{attribute} is not supported and has no effect"
        for entitlement in build.entitlements:
            if entitlement not in (INSECURE, "network.host"):
                yield f"{where}.entitlements: {entitlement} is not supported and has no effect"
        for secret in build.secrets:
            if secret.uid or secret.gid or secret.mode is not None:
                yield f"{where}.secrets.{secret.source}: uid, gid and mode have no effect, RUN --mount says them"


def _cause(project: Project, service: ServiceConfig, observed: ObservedState) -> str:
    present = observed.images.get(image_name(project, service))
    if service.pull_policy == BUILD:
        return "pull_policy: build"
    if present is None:
        return "missing"
    wanted = platform(project, service)
    if wanted and not is_for(present, wanted):
        return f"the one here is for {platform_of(present)}, not {wanted}"
    return ""


def _definition(args: Mapping[str, Any]) -> str:
    """What makes two builds the same: all but the names, and of the labels all but whose they are."""
    own = {labels.SERVICE}
    said = {name: value for name, value in args.items() if name not in IDENTIFYING}
    kept = {name: value for name, value in args["Labels"].items() if name not in own}
    return json.dumps([said, kept], sort_keys=True)


def _needs(
    project: Project, services: Mapping[str, ServiceConfig], inputs: Mapping[str, Inputs]
) -> dict[str, frozenset[str]]:
    """Service to the services that must be built before it. Raises ConsistencyError for a circle of contexts."""
    said = {
        name: frozenset(context_services(service.build)) & services.keys()
        for name, service in services.items()
        if service.build is not None
    }
    builders: dict[str, str] = {}
    for name, service in services.items():
        tags = service.build.tags if service.build is not None else ()
        for reference in (image_name(project, service), *tags):
            builders.setdefault(_full(reference), name)
    circle = _circle(said)
    if circle:
        raise ConsistencyError(f"dependency cycle detected: {' -> '.join(circle)}")
    needs = dict(said)
    for name, service in services.items():
        bases = inputs.get(name, NO_INPUTS).bases
        found = (
            frozenset(service.depends_on) & services.keys()
            if bases is None
            else frozenset(builders[full] for full in map(_full, bases) if full in builders)
        )
        more = {**needs, name: (needs[name] | found) - {name}}
        # what was only inferred gives way where it makes a circle
        if not _circle(more):
            needs = more
    return needs


def _graph(groups: Iterable[list[str]], needs: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """First member of a group to the first members of those that it waits for."""
    found = list(groups)
    group_of = {name: group[0] for group in found for name in group}
    return {
        group[0]: sorted({group_of[other] for name in group for other in needs[name]} - {group[0]}) for group in found
    }


def _circle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return [str(name) for name in reversed(error.args[1])]
    return []


def _context(project: Project, value: str) -> str:
    name = service_in_mode(value)
    return f"{IMAGE_CONTEXT}{image_name(project, project.all_services[name])}" if name else value


def _ulimit(name: str, limit: UlimitsConfig) -> dict[str, Any]:
    return {"Name": name, "Soft": limit.single or limit.soft, "Hard": limit.single or limit.hard}


def _cache(project: Project, attribute: str, text: str) -> str:
    """A cache with its directory made absolute from the project's."""
    fields = [part.partition("=") for part in text.split(",")]
    if not any((name.strip(), value.strip()) == ("type", "local") for name, _, value in fields):
        return text
    path = LOCAL_CACHE[attribute]
    return ",".join(
        f"{name}={posixpath.normpath(posixpath.join(project.working_dir, value))}"
        if name.strip() == path
        else f"{name}{equals}{value}"
        for name, equals, value in fields
    )


def _full(reference: str) -> str:
    """A reference in the form in which two names of one image are equal."""
    name = reference.removeprefix("docker.io/").removeprefix("library/")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
