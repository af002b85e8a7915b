"""Run a one-off container of a service: what it needs first, then attach, then start, so that no output is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.loader.shortforms import is_file_path, parse_port, parse_volume
from compose.model.mounts import ServiceVolumeBind, ServiceVolumeConfig, ServiceVolumeVolume
from compose.model.network import PortConfig
from compose.model.volume import VolumeConfig
from compose.reconcile import plan_run
from compose.reconcile.desired import images
from compose.reconcile.options import ImageOptions, UpOptions
from compose.reconcile.plan import PlanBuilder
from compose.usecases.ensure_images import ensure_images
from compose.usecases.execute import execute, submit
from compose.usecases.observe import observe
from compose.usecases.providers import provide
from compose.usecases.report import ForwardingReporter
from compose.usecases.up import seccomp_profiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compose.model.project import Project
    from compose.reconcile.options import RunOptions
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from runtime.client.client import Client
    from runtime.wire.plan import Operation, OperationKind, PlanEvent


OWN_POLICIES = ImageOptions()


class OneOff:
    """One `run`. `reporter` shows what the service needs; the one-off itself is started by `quiet`."""

    def __init__(
        self,
        client: Client,
        project: Project,
        options: RunOptions,
        *,
        reporter: Reporter,
        quiet: Reporter,
        images: ImageOptions = OWN_POLICIES,
        access: RegistryAccess | None = None,
    ) -> None:
        self._images = images
        self._access = access
        self._client = client
        self._project = project
        self._options = options.replace(seccomp_profiles=seccomp_profiles(project))
        self._reporter = reporter
        self._quiet = quiet
        self._name = ""

    def plan_only(self) -> None:
        """Show the plan instead of executing it."""
        self._execute(start=True, dry_run=True)

    def detached(self) -> str:
        """Create and start it; its id. Raises as `up` does."""
        self._execute(start=True)
        return self._client.inspect(self._name)["Id"]

    def attached(
        self, *, stdin: int, stdout: int, stderr: int, before_start: Callable[[], None], detach_keys: bytes
    ) -> int:
        """Create, attach, start and follow it to its end; its exit code, 0 if the user left it with the detach keys.

        Raises as `up` does, and EngineError.
        """
        from runtime.client import attach

        options = self._options
        remove = options.auto_remove
        self._execute(start=False)
        try:
            stream = self._client.attach(self._name, {"BeforeStart": True, "Stdin": options.interactive})
            try:
                before_start()
                self._step("StartContainer", {"Container": self._name})
            except BaseException:
                stream.close()
                raise
            given = stdin if options.interactive else None
            return attach.run(
                stream, stdin=given, stdout=stdout, stderr=stderr, tty=options.tty, detach_keys=detach_keys
            )
        except attach.Detached:
            remove = False
            return 0
        finally:
            if remove:
                self._step("RemoveContainer", {"Container": self._name, "Force": True, "Volumes": True})

    def _execute(self, *, start: bool, dry_run: bool = False) -> None:
        project, options = self._project, self._options.replace(start=start)
        wanted = images(project)
        if not options.no_deps:
            needed = project.with_selected((options.service,)).services.keys() - {options.service}
            project = provide(project, sorted(needed), self._reporter, dry_run=dry_run)
        scope = UpOptions(services=(options.service,), no_deps=options.no_deps, images=self._images)
        ensure_images(self._client, project, scope, self._reporter, access=self._access, dry_run=dry_run)

        def make(_declined: frozenset[str]) -> Plan:
            plan = plan_run.run(project, observe(self._client, project.name, wanted), options)
            made = [each for each in plan.operations if each.kind == "CreateContainer"]
            self._name = str(made[-1].args["Name"])
            return plan

        reporter = _Without(self._reporter, lambda: f"container {self._name}")
        execute(self._client, make, reporter, project=project, dry_run=dry_run)

    def _step(self, kind: OperationKind, args: dict[str, Any]) -> None:
        builder = PlanBuilder()
        resource = f"container {self._name}"
        builder.add(kind, subject=f"container:{self._name}", resource=resource, cause="run", args=args)
        # of no project: a long dependency of another command must not hold a terminal up
        submit(self._client, builder.build(""), self._quiet, project=self._project)


class _Without(ForwardingReporter):
    """A reporter that says nothing of one resource: the one-off speaks for itself."""

    def __init__(self, reporter: Reporter, resource: Callable[[], str]) -> None:
        super().__init__(reporter)
        self._resource = resource
        self._silent = False

    def begin(self, plan: Plan) -> None:
        self._silent = all(each.resource == self._resource() for each in plan.operations)
        if not self._silent:
            self._reporter.begin(plan)

    def event(self, operation: Operation, event: PlanEvent) -> None:
        if operation["resource"] != self._resource():
            self._reporter.event(operation, event)

    def end(self) -> None:
        if not self._silent:
            self._reporter.end()


def with_volumes(project: Project, service: str, said: Sequence[str], absolute: Callable[[str], str]) -> Project:
    """The project with `--volume` mounts added to a service; one at the same target gives way. Raises ComposeError."""
    if not said:
        return project
    mounts = [_mount(text, absolute) for text in said]
    targets = {mount.target for mount in mounts}
    config = project.service(service)
    kept = [mount for mount in config.volumes if mount.target not in targets]
    named = {mount.source for mount in mounts if mount.type == "volume" and mount.source}
    return project.replace(
        services={**project.services, service: config.replace(volumes=(*kept, *mounts))},
        volumes={**{name: VolumeConfig(name=name) for name in named}, **project.volumes},
    )


def ports(said: Sequence[str]) -> tuple[PortConfig, ...]:
    """`--publish` options in long form; raises ComposeError."""
    try:
        return tuple(PortConfig(**port) for text in said for port in parse_port(text))
    except ValueError as error:
        raise ComposeError(str(error)) from error


def _mount(text: str, absolute: Callable[[str], str]) -> ServiceVolumeConfig:
    try:
        found = parse_volume(text)
    except ValueError as error:
        raise ComposeError(str(error)) from error
    source = str(found.get("source", ""))
    bind, volume = found.get("bind"), found.get("volume")
    return ServiceVolumeConfig(
        type=found["type"],
        source=absolute(source) if is_file_path(source) else source,
        target=found["target"],
        read_only=bool(found.get("read_only")),
        bind=ServiceVolumeBind(**bind) if bind else None,
        volume=ServiceVolumeVolume(**volume) if volume else None,
    )
