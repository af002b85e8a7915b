"""Write the builds of services as a bake file: what `build --print` shows, with the keys and order of Compose's."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from compose.graph import service_in_mode
from compose.reconcile.observed import ObservedState
from compose.reconcile.plan_build import BuildOptions, build_arguments, build_causes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.model.build import BuildConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig


def bake_file(
    project: Project, services: Iterable[ServiceConfig], options: BuildOptions, *, push: bool = False
) -> dict[str, Any]:
    """The bake file of the services and of those they take as contexts; raises ConsistencyError."""
    names = build_causes(project, services, ObservedState(project=project.name), "build")
    targets = {name: _target(project, project.all_services[name], options, push=push) for name in sorted(names)}
    return {"group": {"default": {"targets": list(targets)}}, "target": targets}


def _target(project: Project, service: ServiceConfig, options: BuildOptions, *, push: bool) -> dict[str, Any]:
    build = service.build
    assert build is not None, f"service {service.name} is not built"
    args = build_arguments(project, service, options)
    tags = args["Tags"]
    said = {
        "context": build.context,
        "contexts": {name: _context(value) for name, value in sorted(build.additional_contexts.items())},
        "dockerfile": "" if build.dockerfile_inline else posixpath.join(build.context, build.dockerfile),
        "dockerfile-inline": build.dockerfile_inline,
        "args": dict(sorted(args.get("BuildArgs", {}).items())),
        "labels": dict(sorted(args["Labels"].items())),
        "tags": [*tags[1:], tags[0]],
        "cache-from": list(build.cache_from),
        "cache-to": list(build.cache_to),
        "target": build.target,
        "secret": [_secret(project, each.source, each.target) for each in build.secrets],
        "ssh": [f"{name}={path}" for name, path in build.ssh.items()],
        "platforms": list(build.platforms),
        "pull": args.get("Pull", False),
        "no-cache": args.get("NoCache", False),
        "network": build.network,
        "no-cache-filter": list(build.no_cache_filter),
        "shm-size": str(build.shm_size or ""),
        "ulimits": [
            f"{each['Name']}={each['Soft']}" + (f":{each['Hard']}" if each["Hard"] != each["Soft"] else "")
            for each in args.get("Ulimits", ())
        ],
        "call": "lint" if options.check else "",
        "entitlements": [*build.entitlements, *(["security.insecure"] if build.privileged else [])],
        "extra-hosts": {name: ",".join(addresses) for name, addresses in build.extra_hosts.items()},
        "output": [] if options.check else [_output(build, push=push and bool(service.image))],
    }
    return {key: value for key, value in said.items() if value}


def _context(value: str) -> str:
    name = service_in_mode(value)
    return f"target:{name}" if name else value


def _secret(project: Project, source: str, target: str) -> str:
    config = project.secrets[source]
    if config.environment:
        return f"id={target or source},type=env,env={config.environment}"
    return f"id={target or source},type=file,src={config.file}"


def _output(build: BuildConfig, *, push: bool) -> str:
    if len(build.platforms) > 1:
        return f"type=image,push={str(push).lower()}"
    return "type=registry" if push else "type=docker"
