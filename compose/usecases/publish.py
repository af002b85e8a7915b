"""Publish a project as an artifact of a registry, as Docker Compose does, so that either program runs what the other wrote.

Checked first, asked next, and only then is anything sent: images that are built here, then the artifact.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.model.record import Record
from compose.usecases import artifact, publishedfiles, sensitive
from compose.usecases.imagedigests import full_reference, pin
from compose.usecases.projects import load_options
from compose.usecases.pull import TransferOptions, Transfers
from runtime.errors import EngineError
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.usecases.projects import ProjectRequest
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from runtime.client.client import Client

OCI_VERSIONS = ("", "1.0", "1.1")
BINDS = """\
you are about to publish bind mounts declaration within your OCI artifact.
only the bind mount declarations will be added to the OCI artifact (not content)
please double check that you are not mounting potential user's sensitive directories or data
{}Are you ok to publish these bind mount declarations?"""
SECRETS = """\
you are about to publish sensitive data within your OCI artifact.
please double check that you are not leaking sensitive data
{}Are you ok to publish these sensitive data?"""
VARIABLES = """\
you are about to publish environment variables within your OCI artifact.
please double check that you are not leaking sensitive data
{}Are you ok to publish these environment variables?"""
NEEDS_FLAG = """\
{}To avoid leaking sensitive data, you must either explicitly allow the sending of environment variables by using the --with-env flag,
or remove sensitive data from your Compose configuration"""
NO_IMAGES = "your Compose stack cannot be published as it only contains a build section for service(s):\n"


class PublishOptions(Record):
    """Options of `publish`."""

    resolve_digests: bool = False
    with_environment: bool = False
    oci_version: str = ""
    application: bool = False
    assume_yes: bool = False


class Publish:
    """`publish` of one project."""

    def __init__(
        self,
        client: Client,
        request: ProjectRequest,
        reporter: Reporter,
        *,
        access: RegistryAccess,
        dry_run: bool = False,
    ) -> None:
        from compose.loader.cache import load

        self._client = client
        self._reporter = reporter
        self._access = access
        self._dry_run = dry_run
        options = load_options(request).replace(conflicts=False)
        # what is disabled is in the files all the same
        self._project = load(options).project.with_profiles(("*",))
        self._named = load(options.replace(resolve_environment=False)).project.with_profiles(("*",))
        """The same with env files that are still files."""

    def run(self, repository: str, options: PublishOptions) -> bool:
        """Publish under `repository`; whether it was done, for the user may decline. Raises ComposeError, EngineError."""
        if options.oci_version not in OCI_VERSIONS:
            raise ComposeError(f"unsupported OCI version: {options.oci_version}; expected 1.0 or 1.1")
        project = self._project
        without = [
            name for name, service in project.services.items() if not service.image and service.build is not None
        ]
        if without:
            raise ComposeError(NO_IMAGES + "".join(f'- "{name}"\n' for name in without))
        files = publishedfiles.collect(project.compose_files, project.working_dir, project.environment.get)
        if not options.assume_yes and not self._agreed(files, options):
            return False
        if options.assume_yes and files.env_files and not options.with_environment:
            self._reporter.warn("env files are named but not published: without --with-env nobody can run this")
        transfers = Transfers(self._client, project, self._reporter, access=self._access, dry_run=self._dry_run)
        transfers.push(TransferOptions(ignore_failures=True))
        self._tell(repository, files, options)
        return True

    def _tell(self, repository: str, files: publishedfiles.Collected, options: PublishOptions) -> None:
        if self._dry_run:
            self._reporter.announce(f"publish {repository}: {', '.join(part.name for part in files.parts)}")
            return
        from compose.reconcile.plan import PlanBuilder

        self._reporter.begin(PlanBuilder().build(self._project.name))
        try:
            self._reporter.step(repository, "publishing", bare=True)
            self._send(repository, files, options)
            self._reporter.step(repository, "published", done=True, bare=True)
        except (ComposeError, EngineError):
            self._reporter.step(repository, "publishing", failed=True, bare=True)
            raise
        finally:
            self._reporter.end()

    def _send(self, repository: str, files: publishedfiles.Collected, options: PublishOptions) -> None:
        parts = list(files.parts)
        if options.with_environment:
            parts += files.env_parts()
        if options.resolve_digests or options.application:
            parts.append(artifact.Part("image-digests.yaml", self._digests()))
        images = {full_reference(each.image) for each in self._project.services.values() if each.image}
        copied = sorted(images) if options.application else []
        created = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        form = artifact.form(VERSION, oci=options.oci_version, created=created, images=copied)
        access = self._access.of([full_reference(repository), *copied])
        self._client.registry_publish(repository, artifact.layers(parts, VERSION), form, access)

    def _digests(self) -> bytes:
        """An override file that pins every image."""

        def digest_of(reference: str) -> str:
            return self._client.registry_digest(reference, self._access.of([reference]))

        pinned = pin(self._project, digest_of)
        services = "".join(
            f"  {json.dumps(name)}:\n    image: {service.image}\n"
            for name, service in sorted(pinned.services.items())
            if service.image
        )
        return f"services:\n{services}".encode()

    def _agreed(self, files: publishedfiles.Collected, options: PublishOptions) -> bool:
        """Ask what has to be asked; raises ComposeError for variables that nobody allowed to be published."""
        questions = (
            (BINDS, self._bind_mounts()),
            (SECRETS, self._secrets(files)),
            (VARIABLES, self._variables(options)),
        )
        return all(not lines or self._reporter.ask(text.format("".join(lines))) for text, lines in questions)

    def _bind_mounts(self) -> list[str]:
        return [
            f"{name}: {volume.source}:{volume.target}:{'ro' if volume.read_only else 'rw'}\n"
            for name, service in self._project.services.items()
            for volume in service.volumes
            if volume.type == "bind"
        ]

    def _secrets(self, files: publishedfiles.Collected) -> list[str]:
        objects = (*self._project.configs.values(), *self._project.secrets.values())
        paths = [*self._project.compose_files, *files.env_files, *(each.file for each in objects if each.file)]
        return [f"{finding}\n" for path in dict.fromkeys(paths) for finding in sensitive.scan(_text(path), path)]

    def _variables(self, options: PublishOptions) -> list[str]:
        problems: list[str] = []
        lines: list[str] = []
        for name, service in self._named.services.items():
            environment = self._project.service(name).environment
            if service.env_file:
                problems.append(f'service "{name}" has env_file declared.\n')
            if environment:
                problems.append(f'service "{name}" has environment variable(s) declared.\n')
                lines += [f"Service/Config  {name}\n", *_assignments(environment.items())]
        for name, config in self._named.configs.items():
            if config.environment:
                problems.append(f'config "{name}" is declare as an environment variable.\n')
                lines += [f"Service/Config  {name}\n", f"{name}={config.environment}\n"]
        if problems and not options.with_environment:
            raise ComposeError(NEEDS_FLAG.format("".join(problems)))
        return lines


def _assignments(pairs: Iterable[tuple[str, str | None]]) -> list[str]:
    return [f"{name}={value if value is not None else ''}\n" for name, value in pairs]


def _text(path: str) -> str:
    """What can be read of a file; what cannot holds no secret that is published."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
