"""`pycompose build`: build or rebuild the images of services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

if TYPE_CHECKING:
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.plan_build import BuildOptions
    from compose.usecases.build import Builds

Many = list[str] | None


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    build_arg: Annotated[Many, typer.Option("--build-arg", help="Set build-time variables for services")] = None,
    builder: Annotated[str, typer.Option(help="Set builder to use")] = "",
    check: Annotated[bool, typer.Option("--check", help="Check build configuration")] = False,
    compress: Annotated[bool, typer.Option("--compress", hidden=True)] = False,
    force_rm: Annotated[bool, typer.Option("--force-rm", hidden=True)] = False,
    memory: Annotated[
        str, typer.Option("--memory", "-m", help="Set memory limit for the build container. Not supported.")
    ] = "",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not use cache when building the image")] = False,
    no_rm: Annotated[bool, typer.Option("--no-rm", hidden=True)] = False,
    parallel: Annotated[bool, typer.Option("--parallel", hidden=True)] = True,
    print_: Annotated[bool, typer.Option("--print", help="Print equivalent bake file")] = False,
    progress: Annotated[str, typer.Option(hidden=True)] = "",
    provenance: Annotated[str, typer.Option(help="Add a provenance attestation")] = "",
    pull: Annotated[bool, typer.Option("--pull", help="Always attempt to pull a newer version of the image")] = False,
    push: Annotated[bool, typer.Option("--push", help="Push service images")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Suppress the build output")] = False,
    sbom: Annotated[str, typer.Option(help="Add a SBOM attestation")] = "",
    ssh: Annotated[
        str,
        typer.Option(
            help="Set SSH authentications used when building service images. (use 'default' for using your default SSH Agent)"
        ),
    ] = "",
    with_dependencies: Annotated[
        bool, typer.Option("--with-dependencies", help="Also build dependencies (transitively)")
    ] = False,
) -> int:
    """Build or rebuild services"""
    from compose.reconcile.plan_build import BuildOptions
    from compose.usecases import imagebuild, projects
    from compose.usecases.build import Builds

    invocation = Invocation.of(ctx)
    console = invocation.console
    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    if memory:
        console.stderr.write("WARNING: --memory is not supported by this builder and will be ignored\n")
    for flag, value in (("--provenance", provenance), ("--sbom", sbom)):
        if value not in ("", "false"):
            console.warn(f"{flag} is ignored: this builder adds no attestations")
    if progress:
        console.stderr.write("--progress is a global flag, better use `pycompose --progress xx build ...`\n")
        invocation.show_progress(progress)
    options = BuildOptions(
        args=imagebuild.build_args(build_arg or (), project.environment),
        no_cache=no_cache,
        pull=pull,
        several_platforms=True,
        check=check,
    )
    scope = project.with_selected(named, dependencies=with_dependencies)
    chosen = [service for service in scope.services.values() if service.build is not None]
    if print_:
        _print(invocation, project, chosen, options, push=push)
        return 0
    if not chosen:
        console.warn("No services to build")
        return 0
    builds = Builds(
        invocation.client(),
        project,
        invocation.silent_reporter() if quiet or check else invocation.reporter("Building"),
        access=invocation.registries(),
        ssh=ssh.split(",") if ssh else (),
        cwd=console.cwd,
        dry_run=invocation.dry_run,
    )
    if check:
        return _check(invocation, builds, chosen, options)
    builds.build(chosen, options)
    if push and not invocation.dry_run:
        _push(invocation, project, chosen, quiet=quiet)
    return 0


def _print(
    invocation: Invocation, project: Project, services: list[ServiceConfig], options: BuildOptions, *, push: bool
) -> None:
    import json

    from compose.reconcile.bake import bake_file

    text = json.dumps(bake_file(project, services, options, push=push), indent=2, ensure_ascii=False)
    invocation.console.write(f"{text}\n")


def _check(invocation: Invocation, builds: Builds, services: list[ServiceConfig], options: BuildOptions) -> int:
    """What BuildKit's checks print; 1 if they found anything."""
    from compose.cli.render.checks import report

    findings = builds.check(services, options)
    invocation.console.write(
        report([(each.rule, each.text, f"{each.service}: Dockerfile:{each.line}") for each in findings])
    )
    return 1 if findings else 0


def _push(invocation: Invocation, project: Project, services: list[ServiceConfig], *, quiet: bool) -> None:
    from compose.usecases.pull import TransferOptions, Transfers

    reporter = invocation.silent_reporter() if quiet else invocation.reporter("Pushing")
    named = tuple(service.name for service in services if service.image)
    if named:
        Transfers(invocation.client(), project, reporter, access=invocation.registries()).push(
            TransferOptions(services=named)
        )
