"""Make a project run as its files say: images first, because their ids decide what is recreated, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError, UsageError
from compose.reconcile.desired import images
from compose.reconcile.instance import seccomp_path
from compose.reconcile.planner import up as plan_up
from compose.usecases.ensure_images import ensure_images
from compose.usecases.execute import execute
from compose.usecases.observe import observe
from compose.usecases.providers import provide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.model.project import Project
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.options import UpOptions
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from runtime.client.client import Client


class Up:
    """Brings a project up; used by `up`, `create` and `scale`. `dry_run` shows the plan only."""

    def __init__(
        self,
        client: Client,
        project: Project,
        reporter: Reporter,
        *,
        dry_run: bool = False,
        assume_yes: bool = False,
        access: RegistryAccess | None = None,
        provided: bool = False,
    ) -> None:
        """`provided`: programs behind services have done their part already."""
        self._access = access
        self._client = client
        self._provided = provided
        self._project = project
        self._reporter = reporter
        self._dry_run = dry_run
        self._assume_yes = assume_yes

    @property
    def project(self) -> Project:
        """The project; after `run` with the variables that provider programs set."""
        return self._project

    def run(self, options: UpOptions) -> Plan:
        """Get the images, plan and execute. Raises NoSuchService, ComposeError, ConsistencyError, EngineError."""
        settled = options.replace(seccomp_profiles=seccomp_profiles(self._project))
        wanted = images(self._project)
        first: list[ObservedState] = [
            ensure_images(
                self._client, self._project, options, self._reporter, access=self._access, dry_run=self._dry_run
            )
        ]

        if not self._provided:
            scope = self._project.with_selected(options.services, dependencies=not options.no_deps)
            self._project = provide(self._project, scope.services, self._reporter, dry_run=self._dry_run)

        def make(declined: frozenset[str]) -> Plan:
            observed = first.pop() if first else observe(self._client, self._project.name, wanted)
            return plan_up(self._project, observed, settled.replace(declined=declined))

        return execute(
            self._client,
            make,
            self._reporter,
            project=self._project,
            dry_run=self._dry_run,
            assume_yes=self._assume_yes,
        )


def parse_scale(pairs: Sequence[str], *, option: bool = True) -> dict[str, int]:
    """`SERVICE=NUM` pairs; raises UsageError in the words of the `--scale` option or of the `scale` command."""
    found: dict[str, int] = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if not name or not number:
            raise UsageError(
                f'invalid --scale option "{pair}". Should be SERVICE=NUM'
                if option
                else f"invalid scale specifier: {pair}"
            )
        try:
            found[name] = int(number)
        except ValueError:
            raise UsageError(f"invalid scale specifier: can't parse replica value as int: {pair}") from None
        if found[name] < 0:
            raise UsageError(f"invalid scale specifier: {pair}: a service cannot have less than 0 containers")
    return found


def seccomp_profiles(project: Project) -> dict[str, str]:
    """Contents of the profiles that services name, by path; raises ComposeError for one that cannot be read."""
    found: dict[str, str] = {}
    for service in project.services.values():
        for position, option in enumerate(service.security_opt):
            path = seccomp_path(option, project.working_dir)
            if not path:
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    found[path] = file.read()
            except (OSError, UnicodeDecodeError) as error:
                why = (error.strerror or "").lower() if isinstance(error, OSError) else "not a text in UTF-8"
                mark = project.mark(f"services.{service.name}.security_opt[{position}]")
                place = f"{mark}: " if mark is not None else ""
                raise ComposeError(f"{place}opening seccomp profile ({path}) failed: {why}") from error
    return found
