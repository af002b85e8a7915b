"""Plan `run`: what the service needs, then one container beside the standing ones, which is not counted among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.model.confighash import service_hash
from compose.reconcile.container_body import create_container
from compose.reconcile.desired import desired_state
from compose.reconcile.options import UpOptions
from compose.reconcile.plan_containers import needs
from compose.reconcile.plan_start import Starts
from compose.reconcile.planner import plan_resources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.options import RunOptions
    from compose.reconcile.plan import Plan


def run(project: Project, observed: ObservedState, options: RunOptions) -> Plan:
    """The plan of `run`; its last CreateContainer makes the one-off. Raises as `up` does."""
    up_options = UpOptions(
        services=(options.service,),
        no_deps=options.no_deps,
        remove_orphans=options.remove_orphans,
        ignore_orphans=options.ignore_orphans,
        env_files=options.env_files,
        seccomp_profiles=options.seccomp_profiles,
    )
    desired = desired_state(project, up_options)
    if desired.project.service(options.service).provider is not None:
        raise ComposeError(f"service {options.service} is run by a provider: it has no container")
    target = desired.services[desired.project.service(options.service).name]
    others = {name: service for name, service in desired.services.items() if name != options.service}
    draft = plan_resources(desired.replace(services=others), observed, up_options)
    starts = Starts(draft, draft.slots)
    for service in others.values():
        starts.service(service.config)
    config = one_off_config(target.config, options)
    one_off = target.replace(config=config, config_hash=service_hash(config))
    instance = draft.instance(one_off, 0).replace(
        slug=options.slug,
        one_off_name=options.name,
        attach_stdin=options.interactive,
        auto_remove=options.auto_remove,
        use_aliases=options.use_aliases,
    )
    subject, resource = f"container:{instance.name}", f"container {instance.name}"
    created = draft.builder.add(
        "CreateContainer",
        subject=subject,
        resource=resource,
        cause="run",
        depends=needs(draft, one_off),
        args=create_container(instance),
    )
    gates = starts.gates(options.service)
    if options.start:
        draft.builder.add(
            "StartContainer",
            subject=subject,
            resource=resource,
            cause="run",
            depends=(created, *gates),
            args={"Container": instance.name},
        )
    return draft.finish()


def one_off_config(service: ServiceConfig, options: RunOptions) -> ServiceConfig:
    """The service as the command line changes it: no restart, no ports unless asked for."""
    command, entrypoint = service.command, service.entrypoint
    if options.entrypoint is not None:
        command, entrypoint = (), options.entrypoint
    deploy = service.deploy.replace(restart_policy=None) if service.deploy is not None else None
    return service.replace(
        container_name="",
        scale=1,
        restart="",
        deploy=deploy,
        command=options.command or command,
        entrypoint=entrypoint,
        user=options.user or service.user,
        working_dir=options.working_dir or service.working_dir,
        environment={**service.environment, **options.environment},
        labels={**service.labels, **options.labels},
        cap_add=_capabilities(service.cap_add, options.cap_add, options.cap_drop),
        cap_drop=_capabilities(service.cap_drop, options.cap_drop, options.cap_add),
        tty=options.tty,
        stdin_open=options.interactive,
        ports=(*(service.ports if options.service_ports else ()), *options.publish),
    )


def _capabilities(said: Iterable[str], more: Iterable[str], less: Iterable[str]) -> tuple[str, ...]:
    away = frozenset(less)
    return tuple(dict.fromkeys((*(name for name in said if name not in away), *more)))
