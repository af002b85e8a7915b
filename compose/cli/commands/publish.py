"""`pycompose publish`: put the project's files into a registry, for `-f oci://` and `include` to run."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    repository: Annotated[str, typer.Argument(metavar="REPOSITORY[:TAG]")],
    app: Annotated[
        bool, typer.Option("--app", help="Published compose application (includes referenced images)")
    ] = False,
    oci_version: Annotated[
        str, typer.Option(help="OCI image/artifact specification version (automatically determined by default)")
    ] = "",
    resolve_image_digests: Annotated[
        bool, typer.Option("--resolve-image-digests", help="Pin image tags to digests")
    ] = False,
    with_env: Annotated[
        bool, typer.Option("--with-env", help="Include environment variables in the published OCI artifact")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help='Assume "yes" as answer to all prompts')] = False,
) -> int:
    """Publish compose application"""
    from compose.usecases.publish import Publish, PublishOptions

    invocation = Invocation.of(ctx)
    publish = Publish(
        invocation.client(),
        invocation.request(),
        invocation.reporter("Publishing"),
        access=invocation.registries(),
        dry_run=invocation.dry_run,
    )
    publish.run(
        repository,
        PublishOptions(
            resolve_digests=resolve_image_digests,
            with_environment=with_env,
            oci_version=oci_version,
            application=app,
            assume_yes=yes,
        ),
    )
    return 0
