"""Build the images of services: read what only the client can read, plan, execute, tell a failure as BuildKit does."""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from compose.errors import ComposeError
from compose.model.naming import image_name
from compose.reconcile.desired import images
from compose.reconcile.plan import PlanBuilder
from compose.reconcile.plan_build import (
    IMAGE_CONTEXT,
    BuildOptions,
    Inputs,
    build_causes,
    context_services,
    plan_builds,
    without_effect,
)
from compose.usecases import imagebuild
from compose.usecases.execute import execute
from compose.usecases.keyagents import KeyAgents
from compose.usecases.observe import observe
from compose.usecases.report import ForwardingReporter
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.model.build import BuildConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from runtime.client.client import Client
    from runtime.wire.plan import Operation, PlanEvent

AGENT = "SSH_AUTH_SOCK"
PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}
"""Keys of `proxies` in Docker's config.json, and the predefined arguments they become, in capitals and in small letters."""
DEFAULTS = BuildOptions()


class Builds:
    """Builds images of one project. `ssh` are `--ssh` options."""

    def __init__(
        self,
        client: Client,
        project: Project,
        reporter: Reporter,
        *,
        access: RegistryAccess,
        ssh: Sequence[str] = (),
        cwd: str = "/",
        dry_run: bool = False,
    ) -> None:
        self._client = client
        self._project = project
        self._reporter = _Listener(reporter)
        self._access = access
        self._ssh = tuple(ssh)
        self._cwd = cwd
        self._dry_run = dry_run

    def build(self, services: Iterable[ServiceConfig], options: BuildOptions = DEFAULTS) -> Mapping[str, str]:
        """Build the images of services and of what they take as contexts, whatever is there; ids by service.

        Raises ComposeError, ConsistencyError, BuildFailed, EngineError.
        """
        wanted = list(services)
        observed = observe(self._client, self._project.name, references(self._project, wanted))
        return self.run(build_causes(self._project, wanted, observed, "build"), options)

    def check(self, services: Iterable[ServiceConfig], options: BuildOptions) -> list[Finding]:
        """What is to be said about the Dockerfiles; raises as `build`."""
        causes = {service.name: "check" for service in services}
        self.run(causes, options.replace(check=True))
        return self._reporter.findings

    def run(self, causes: Mapping[str, str], options: BuildOptions = DEFAULTS) -> Mapping[str, str]:
        """Build what is in `causes` (see build_causes); raises as `build`."""
        if not causes:
            return {}
        project = self._project
        with KeyAgents(project.environment) as keys:
            inputs = {name: self._inputs(project.all_services[name], keys) for name in causes}
            return self._run(causes, options, inputs)

    def _run(self, causes: Mapping[str, str], options: BuildOptions, inputs: Mapping[str, Inputs]) -> Mapping[str, str]:
        project = self._project

        def make(_declined: frozenset[str]) -> Plan:
            builder = PlanBuilder()
            plan_builds(builder, project, causes, options, inputs)
            # of no project: a long build must not hold up what another command does to its containers
            return builder.build("", warnings=without_effect(project, causes))

        listener = self._reporter
        try:
            execute(self._client, make, listener, project=project, dry_run=self._dry_run)
        except EngineError as error:
            if not listener.failed:
                raise
            failed = imagebuild.failure(error, listener.failed)
            if isinstance(failed, imagebuild.BuildFailed) and failed.report:
                listener.info(failed.report.rstrip("\n"))
            raise failed from error
        return listener.images

    def _inputs(self, service: ServiceConfig, keys: KeyAgents) -> Inputs:
        build = service.build
        assert build is not None, f"service {service.name} is not built"
        text = dockerfile(build)
        known = [value.removeprefix(IMAGE_CONTEXT) for value in build.additional_contexts.values()]
        return Inputs(
            secrets=tuple(self._secret(service, each.source, each.target) for each in build.secrets),
            ssh=tuple(self._agents(build, keys)),
            access=imagebuild.access_for(self._access, text or "", known),
            proxies=self._proxies(),
            bases=None if text is None else imagebuild.bases(text),
        )

    def _secret(self, service: ServiceConfig, source: str, target: str) -> dict[str, str]:
        config = self._project.secrets[source]
        identifier = target or source
        if config.file:
            data = imagebuild.secret_file(config.file, identifier)
        elif config.environment:
            data = config.content.encode()
        else:
            place = self._place(f"services.{service.name}.build.secrets")
            raise ComposeError(f'{place}build.secrets only supports environment or file-based secrets: "{source}"')
        if len(data) > imagebuild.MAX_SECRET:
            raise ComposeError(
                f"invalid secret size {len(data)}: {identifier} is larger than {imagebuild.MAX_SECRET} bytes"
            )
        return {"Id": identifier, "Data": base64.b64encode(data).decode()}

    def _agents(self, build: BuildConfig, keys: KeyAgents) -> Iterable[dict[str, str]]:
        """What the definition asks for, then what the command line does, which wins."""
        said = [f"{identifier}={path}" if path else identifier for identifier, path in build.ssh.items()]
        agents = imagebuild.agents((*said, *self._ssh), self._project.environment, self._cwd, keys)
        for agent in agents:
            path = agent["Socket"]
            try:
                usable = stat.S_ISSOCK(os.stat(path).st_mode)
            except OSError as error:
                raise ComposeError(f"ssh {agent['Id']}: {path}: {(error.strerror or str(error)).lower()}") from error
            if not usable:
                raise ComposeError(f"ssh {agent['Id']}: {path} is no agent's socket and no key file")
        return {agent["Id"]: agent for agent in agents}.values()

    def _proxies(self) -> dict[str, str]:
        proxies = self._access.config().get("proxies")
        said = proxies.get("default") if isinstance(proxies, dict) else None
        found = {}
        for key, name in PROXIES.items():
            if isinstance(said, dict) and said.get(key):
                found[name] = found[name.lower()] = str(said[key])
        return found

    def _place(self, path: str) -> str:
        mark = self._project.mark(path)
        return f"{mark}: " if mark is not None else ""


def references(project: Project, services: Iterable[ServiceConfig]) -> tuple[str, ...]:
    """Names of the images of a project and of the services it builds on, to ask a snapshot for."""
    found = {*images(project)}
    for service in services:
        found.add(image_name(project, service))
        names = context_services(service.build) if service.build is not None else ()
        found |= {image_name(project, project.all_services[name]) for name in names}
    return tuple(sorted(found))


def dockerfile(build: BuildConfig) -> str | None:
    """The text of a definition's Dockerfile; None where it is not known here."""
    if build.dockerfile_inline:
        return build.dockerfile_inline
    if not os.path.isdir(build.context):
        return None
    return imagebuild.read_dockerfile(build.context, build.dockerfile)


class Finding(NamedTuple):
    """Something in a Dockerfile that works but is better written otherwise."""

    service: str
    rule: str
    text: str
    line: int


class _Listener(ForwardingReporter):
    """Passes everything on and remembers what was built and what failed."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.images: dict[str, str] = {}
        """Service to image id."""
        self.findings: list[Finding] = []
        self.failed = ""
        """The service whose build failed first."""

    def begin(self, plan: Plan) -> None:
        self.failed = ""
        self._reporter.begin(plan)

    def event(self, operation: Operation, event: PlanEvent) -> None:
        names = operation["resource"].partition(" ")[2].split(",")
        vertex = event.get("vertex") or {}
        if vertex.get("event") == "warning":
            said = (str(vertex.get("rule", "")), str(vertex.get("text", "")), int(vertex.get("line") or 0))
            self.findings.append(Finding(names[0], *said))
        if event.get("status") == "failed" and not self.failed:
            self.failed = names[0]
        elif event.get("status") == "done":
            self.images |= dict.fromkeys(names, str((event.get("result") or {}).get("Id") or ""))
        self._reporter.event(operation, event)
