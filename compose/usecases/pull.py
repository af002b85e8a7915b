"""Pull and push the images of a project's services: what is left out is told, what fails is told with its service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.model.record import Record
from compose.reconcile.plan import Kept, PlanBuilder
from compose.reconcile.plan_images import NEVER, Wanted
from compose.reconcile.plan_images import pull as plan_pull
from compose.usecases.ensure_images import with_access
from compose.usecases.execute import execute
from compose.usecases.observe import observe
from compose.usecases.report import ForwardingReporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from runtime.client.client import Client
    from runtime.wire.plan import Operation, PlanEvent

NOTHING_TO_PULL = "Skipped - No image to be pulled"
CAN_BE_BUILT = "Skipped - Image can be built"
PRESENT = "Skipped - Image is already present locally"
SKIPPED = "Skipped"


class TransferOptions(Record):
    """Options of `pull` and `push`."""

    services: tuple[str, ...] = ()
    include_deps: bool = False
    ignore_failures: bool = False
    ignore_buildable: bool = False
    policy: str = ""
    """`missing` or `always`, instead of each service's own; only of `pull`."""


class Transfers:
    """`pull` and `push` of one project."""

    def __init__(
        self, client: Client, project: Project, reporter: Reporter, *, access: RegistryAccess, dry_run: bool = False
    ) -> None:
        self._client = client
        self._project = project
        self._reporter = _Listener(reporter)
        self._access = access
        self._dry_run = dry_run

    def pull(self, options: TransferOptions) -> None:
        """Pull what services name; raises NoSuchService, ComposeError, EngineError."""
        services = self._scope(options)
        references = tuple(sorted({service.image for service in services if service.image}))
        observed = observe(self._client, self._project.name, references)
        self._execute(lambda: plan_pulls(services, observed, options))
        failed = self._reporter.failed
        to_build = [service.name for service in services if service.build is not None and service.name in failed]
        if to_build:
            self._reporter.info(
                "WARNING: Some service image(s) must be built from source by running:\n"
                f"    pycompose build {' '.join(to_build)}"
            )
        if failed and not options.ignore_failures:
            raise ComposeError(next(iter(failed.values())))

    def push(self, options: TransferOptions) -> None:
        """Push what services build; raises NoSuchService, ComposeError, EngineError."""
        services = self._scope(options)
        self._execute(lambda: plan_pushes(services, options))

    def _scope(self, options: TransferOptions) -> list[ServiceConfig]:
        scope = self._project.with_selected(options.services, dependencies=options.include_deps)
        found = list(scope.services.values())
        return [service.replace(pull_policy=options.policy) for service in found] if options.policy else found

    def _execute(self, make: Callable[[], Plan]) -> None:
        execute(
            self._client,
            lambda _declined: with_access(make(), self._access),
            self._reporter,
            project=self._project,
            dry_run=self._dry_run,
        )


def plan_pulls(services: list[ServiceConfig], observed: ObservedState, options: TransferOptions) -> Plan:
    """The plan of `pull`."""
    builder = PlanBuilder()
    kept: list[Kept] = []
    pulled_by: dict[str, str] = {}
    for service in services:
        why = _left_out(service, observed, options)
        if not why and service.image in pulled_by:
            why = f"Skipped - Image is already being pulled by {pulled_by[service.image]}"
        if why:
            kept.append(Kept(resource=f"pull {service.name}", status=why))
            continue
        pulled_by[service.image] = service.name
        image = Wanted(
            service=service.name,
            reference=service.image,
            platform=service.platform,
            policy=service.pull_policy,
            buildable=service.build is not None,
        )
        cause = "missing" if service.pull_policy == "missing" and not observed.image_id(service.image) else "pull"
        plan_pull(builder, image, cause, optional=options.ignore_failures or image.buildable)
    return builder.build("", kept=kept)


def plan_pushes(services: list[ServiceConfig], options: TransferOptions) -> Plan:
    """The plan of `push`: of what is built here, all its names."""
    builder = PlanBuilder()
    kept: list[Kept] = []
    for service in services:
        if service.build is None or not service.image or service.provider is not None:
            kept.append(Kept(resource=f"push {service.name}", status=SKIPPED))
            continue
        for reference in dict.fromkeys((service.image, *service.build.tags)):
            builder.add(
                "PushImage",
                subject=f"image:{reference}",
                resource=f"push {service.name}",
                cause="push",
                args={"Reference": reference},
                optional=options.ignore_failures,
            )
    return builder.build("", kept=kept)


def _left_out(service: ServiceConfig, observed: ObservedState, options: TransferOptions) -> str:
    """Why there is nothing to pull for a service, in Compose's words; "" if there is."""
    if not service.image or service.provider is not None:
        return NOTHING_TO_PULL
    if service.pull_policy in NEVER:
        return SKIPPED
    if service.pull_policy in ("missing", "if_not_present") and _is_settled(service.image, observed):
        return PRESENT
    if options.ignore_buildable and service.build is not None:
        return CAN_BE_BUILT
    return ""


def _is_settled(reference: str, observed: ObservedState) -> bool:
    """Whether an image is here whose name is not expected to move; `latest` always is."""
    head, colon, tag = reference.rpartition(":")
    moving = "@" not in reference and (not colon or "/" in tag or tag == "latest" or not head)
    return bool(observed.image_id(reference)) and not moving


class _Listener(ForwardingReporter):
    """Passes everything on and remembers which transfers failed."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.failed: dict[str, str] = {}
        """Service to message."""

    def event(self, operation: Operation, event: PlanEvent) -> None:
        if event.get("status") == "warning":
            self.failed[operation["resource"].partition(" ")[2]] = event.get("text", "")
        self._reporter.event(operation, event)
