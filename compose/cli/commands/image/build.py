"""`pycompose image build`: build an image from a Dockerfile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRESS = ("auto", "plain", "tty", "quiet", "none", "rawjson")

Many = list[str] | None


def run(
    ctx: typer.Context,
    context: Annotated[str, typer.Argument(metavar="PATH | URL | -")],
    add_host: Annotated[
        Many, typer.Option("--add-host", help='Add a custom host-to-IP mapping (format: "host:ip")')
    ] = None,
    allow: Annotated[Many, typer.Option(help='Allow extra privileged entitlement (e.g., "security.insecure")')] = None,
    build_arg: Annotated[Many, typer.Option("--build-arg", help="Set build-time variables")] = None,
    build_context: Annotated[
        Many, typer.Option("--build-context", help="Additional build contexts (e.g., name=path)")
    ] = None,
    cache_from: Annotated[Many, typer.Option("--cache-from", help="External cache sources")] = None,
    cache_to: Annotated[Many, typer.Option("--cache-to", help="Cache export destinations")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the Dockerfile")] = False,
    file: Annotated[str, typer.Option("--file", "-f", help='Name of the Dockerfile (default: "PATH/Dockerfile")')] = "",
    iidfile: Annotated[str, typer.Option(help="Write the image ID to a file")] = "",
    label: Annotated[Many, typer.Option("--label", help="Set metadata for an image")] = None,
    load: Annotated[bool, typer.Option("--load", help='Shorthand for "--output=type=docker"')] = False,
    metadata_file: Annotated[str, typer.Option("--metadata-file", help="Write build result metadata to the file")] = "",
    network: Annotated[
        str, typer.Option(help='Set the networking mode for the "RUN" instructions during build')
    ] = "default",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not use cache when building the image")] = False,
    no_cache_filter: Annotated[Many, typer.Option("--no-cache-filter", help="Do not cache specified stages")] = None,
    output: Annotated[
        Many, typer.Option("--output", "-o", help='Output destination (format: "type=local,dest=path")')
    ] = None,
    platform: Annotated[Many, typer.Option(help="Set target platform for build")] = None,
    progress: Annotated[
        str,
        typer.Option(help='Set type of progress output ("auto", "plain", "tty", "rawjson")'),
    ] = "auto",
    provenance: Annotated[str, typer.Option(help='Shorthand for "--attest=type=provenance"')] = "",
    pull: Annotated[bool, typer.Option("--pull", help="Always attempt to pull all referenced images")] = False,
    push: Annotated[bool, typer.Option("--push", help='Shorthand for "--output=type=registry"')] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Suppress the build output and print image ID on success")
    ] = False,
    sbom: Annotated[str, typer.Option(help='Shorthand for "--attest=type=sbom"')] = "",
    secret: Annotated[
        Many, typer.Option(help='Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")')
    ] = None,
    shm_size: Annotated[str, typer.Option("--shm-size", help="Shared memory size for build containers")] = "",
    ssh: Annotated[
        Many,
        typer.Option(
            help='SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")'
        ),
    ] = None,
    tag: Annotated[Many, typer.Option("--tag", "-t", help='Name and optionally a tag (format: "name:tag")')] = None,
    target: Annotated[str, typer.Option(help="Set the target build stage to build")] = "",
    ulimit: Annotated[Many, typer.Option(help="Ulimit options")] = None,
) -> int:
    """Build an image from a Dockerfile"""
    from compose.cli.render.buildlog import renderer
    from compose.cli.render.checks import report
    from compose.usecases import buildoutput, imagebuild
    from compose.usecases.keyagents import KeyAgents
    from compose.usecases.registryauth import RegistryAccess

    if progress not in PROGRESS:
        raise UsageError(f'invalid progress mode "{progress}"')
    invocation = Invocation.of(ctx)
    console = invocation.console
    environ, cwd = console.environ, console.cwd
    for flag, value in (("--provenance", provenance), ("--sbom", sbom)):
        if value not in ("", "false"):
            console.warn(f"{flag} is ignored: this builder adds no attestations")
    where = buildoutput.outputs(output or (), cwd, push=push, load=load)
    args: dict[str, Any] = {
        "Target": target,
        "BuildArgs": imagebuild.build_args(build_arg or (), environ),
        "Labels": imagebuild.labels(label or ()),
        "AdditionalContexts": imagebuild.contexts(build_context or (), cwd),
        "NoCache": no_cache,
        "NoCacheFilter": [name for item in no_cache_filter or () for name in item.split(",")],
        "Pull": pull,
        "NetworkMode": network,
        "Platform": ",".join(platform or ()),
        "Secrets": imagebuild.secrets(secret or (), environ, cwd),
        "ExtraHosts": add_host or [],
        "ShmSize": imagebuild.size(shm_size),
        "Ulimits": imagebuild.ulimits(ulimit or ()),
        "Privileged": "security.insecure" in (allow or ()),
        **where,
        "Tags": [*(tag or ()), *where["Tags"]],
        "CacheFrom": cache_from or [],
        "CacheTo": cache_to or [],
        "Check": check,
    }
    with (
        imagebuild.Sources(context, file, cwd, console.stdin.buffer) as sources,
        KeyAgents(environ) as keys,
    ):
        args["SSH"] = imagebuild.agents(ssh or (), environ, cwd, keys)
        sources.args |= args
        sources.redirect()
        args = sources.args
        more = imagebuild.references(args)
        args["Access"] = imagebuild.access_for(RegistryAccess(environ, cwd), sources.dockerfile, more)
        shown = renderer(
            "quiet" if quiet or check else progress, console.stderr, console.size, colour=console.colour(console.stderr)
        )
        findings: list[tuple[str, str, str]] = []

        def show(event: Mapping[str, Any]) -> None:
            if event["event"] == "warning":
                findings.append(
                    (event["rule"], event["text"], f"{os.path.basename(file) or 'Dockerfile'}:{event['line']}")
                )
            shown.event(event)

        failed = True
        try:
            result = imagebuild.run(invocation.client(), args, show)
            failed = False
        except imagebuild.BuildFailed as error:
            shown.stop(failed=True)
            console.stderr.write(error.report)
            raise ComposeError(f"ERROR: {error.message}") from error
        finally:
            if not failed:
                shown.stop(failed=False)
        sources.deliver(console.stdout.buffer)
    if check:
        console.write(report(findings))
        return 1 if findings else 0
    identity = str(result.get("Id") or "")
    if iidfile and identity:
        with open(os.path.join(cwd, iidfile), "w", encoding="ascii") as stream:
            stream.write(identity)
    if metadata_file:
        buildoutput.write_metadata(os.path.join(cwd, metadata_file), buildoutput.metadata(result, args["Tags"]))
    if quiet and identity:
        console.write(f"{identity}\n")
    return 0
