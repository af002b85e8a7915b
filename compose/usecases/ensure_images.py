"""See to it that the images of a project are here before anything is planned on them: the first of the plans of `up`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.graph import service_in_mode
from compose.model.naming import image_name
from compose.reconcile.desired import images
from compose.reconcile.plan import PlanBuilder
from compose.reconcile.plan_images import NEVER, plan_images, wanted_images
from compose.usecases.execute import execute
from compose.usecases.observe import observe
from compose.usecases.places import image_mark
from compose.usecases.registryauth import RegistryAccess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.options import ImageOptions, UpOptions
    from compose.reconcile.plan import Plan
    from compose.reconcile.plan_images import Wanted
    from compose.usecases.report import Reporter
    from runtime.client.client import Client

TRANSFERS = frozenset({"PullImage", "PushImage"})


def ensure_images(
    client: Client,
    project: Project,
    options: UpOptions,
    reporter: Reporter,
    *,
    access: RegistryAccess | None = None,
    dry_run: bool = False,
) -> ObservedState:
    """Pull what the services in scope need, then build what is to be built; the state after that.

    Raises ComposeError naming every image still missing, and what a build raises.
    """
    scope = project.with_scale(options.scale).with_selected(options.services, dependencies=not options.no_deps)
    services = [_with_policy(service, options.images) for service in scope.services.values() if service.replicas]
    wanted = wanted_images(project, services)
    buildable = [service for service in services if service.build is not None]
    asked = tuple(sorted({*images(project), *(image.reference for image in wanted), *_contexts(project, buildable)}))
    observed = observe(client, project.name, asked)
    if not options.images.ensure:
        return observed

    def plan(state: ObservedState) -> Plan:
        builder = PlanBuilder()
        plan_images(builder, wanted, state, now=time.time(), quiet=options.images.quiet_pull)
        # of no project: a long pull must not hold up what another command does to its containers
        return builder.build("")

    pulls = plan(observed)
    if pulls.operations:
        seen = [observed]

        def make(_declined: frozenset[str]) -> Plan:
            state = seen.pop() if seen else observe(client, project.name, asked)
            return with_access(plan(state), access)

        execute(client, make, reporter, project=project, dry_run=dry_run)
        observed = observed if dry_run else observe(client, project.name, asked)
    pulled = {str(each.args["Reference"]) for each in pulls.operations} if dry_run else frozenset()
    left = [service for service in buildable if image_name(project, service) not in pulled]
    built = left and build_missing(client, project, left, observed, options.images, reporter, access, dry_run=dry_run)
    if built and not dry_run:
        observed = observe(client, project.name, asked)
    if not dry_run or not (pulls.operations or built):
        check_images(project, [image for image in wanted if not observed.image_id(image.reference)])
    return observed


def build_missing(
    client: Client,
    project: Project,
    services: list[ServiceConfig],
    observed: ObservedState,
    options: ImageOptions,
    reporter: Reporter,
    access: RegistryAccess | None,
    *,
    dry_run: bool,
) -> bool:
    """Build those of the services whose image is missing, or all if asked to; false if there was nothing to build."""
    from compose.reconcile.plan_build import build_causes
    from compose.usecases.build import Builds

    causes = build_causes(project, services, observed, "--build" if options.build == "always" else "")
    Builds(client, project, reporter, access=access or RegistryAccess({}), dry_run=dry_run).run(causes)
    return bool(causes)


def _contexts(project: Project, services: list[ServiceConfig]) -> Iterator[str]:
    """Images of other services that some are built on."""
    for service in services:
        for value in service.build.additional_contexts.values() if service.build is not None else ():
            if service_in_mode(value):
                yield image_name(project, project.all_services[service_in_mode(value)])


def with_access(plan: Plan, access: RegistryAccess | None) -> Plan:
    """The plan with what its transfers need to reach their registries."""
    references = [str(each.args["Reference"]) for each in plan.operations if each.kind in TRANSFERS]
    if not references:
        return plan
    known = (access or RegistryAccess({})).of(references)
    return plan.replace(
        operations=tuple(
            each.replace(args={**each.args, "Access": known}) if each.kind in TRANSFERS else each
            for each in plan.operations
        )
    )


def check_images(project: Project, missing: list[Wanted]) -> None:
    """Raises ComposeError that names every image that is not there, with its place in the files."""
    lines: dict[str, str] = {}
    for image in missing:
        mark = image_mark(project, image.service.partition(":")[0])
        place = f"{mark}: " if mark is not None else ""
        lines.setdefault(image.reference, f'{place}image "{image.reference}" not found{_todo(image)}')
    if lines:
        raise ComposeError("\n".join(lines.values()))


def _with_policy(service: ServiceConfig, options: ImageOptions) -> ServiceConfig:
    """The service as the command line wants its image to get here."""
    if options.pull:
        service = service.replace(pull_policy=options.pull)
    if service.build is None or not options.build:
        return service
    if options.build == "always":
        return service.replace(pull_policy="build")
    return service.replace(build=None)


def _todo(image: Wanted) -> str:
    if image.policy in NEVER and not image.from_build:
        return (
            f': pull_policy "{image.policy}" forbids to pull it, get it with `pycompose image pull {image.reference}`'
        )
    if image.from_build:
        return f": it can be built, with `pycompose build {image.service}`"
    return ": import it with `pycompose image import`"
