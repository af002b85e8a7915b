"""`pycompose config`: print the project as it is understood, in canonical form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError, LoadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.cli.console import Console
    from compose.usecases.config import Config

HTML_ESCAPES = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})
"""Go writes these as escapes, in case the JSON stands in a page."""
FLOAT_LINE = re.compile(
    r"""^(\s*(?:"(?:[^"\\]|\\.)*": )?)(-?(?:\d+\.\d+(?:e[-+]\d+)?|\d+e[-+]\d+|Infinity)|NaN)(?=,?$)""", re.MULTILINE
)
"""A line of indented JSON whose value is a float: Go writes them differently, and no others look like it."""
NOT_KEPT = frozenset({"variables", "environment", "explain", "model pinned"})
"""Aspects made of more than the cache compares: the whole environment, what a registry says."""
EMPTY_LISTS = {
    "networks": frozenset({"labels"}),
    "services": frozenset(
        {"annotations", "build.labels", "build.tags", "cap_add", "cap_drop", "configs", "devices", "dns", "dns_opt"}
        | {"dns_search", "env_file", "expose", "labels", "links", "networks", "ports", "profiles", "secrets"}
        | {"sysctls", "tmpfs", "volumes"}
    ),
}
"""Attributes whose empty list the reference prints as one to JSON if variables are left alone; others become null."""


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    environment: Annotated[
        bool, typer.Option("--environment", help="Print environment used for interpolation.")
    ] = False,
    explain: Annotated[
        str, typer.Option(help="Print where a value comes from, e.g. services.web.environment.LOG_LEVEL")
    ] = "",
    format: Annotated[str, typer.Option(help="Format the output. Values: [yaml | json]")] = "",
    graph: Annotated[
        str,
        typer.Option(help="Print the dependency graph", metavar="[=text|mermaid|dot|svg]", show_default=False),
    ] = "",
    hash: Annotated[str, typer.Option(help="Print the service config hash, one per line.")] = "",
    images: Annotated[bool, typer.Option("--images", help="Print the image names, one per line.")] = False,
    lock_image_digests: Annotated[
        bool, typer.Option("--lock-image-digests", help="Produces an override file with image digests")
    ] = False,
    models: Annotated[bool, typer.Option("--models", help="Print the model names, one per line.")] = False,
    networks: Annotated[bool, typer.Option("--networks", help="Print the network names, one per line.")] = False,
    no_consistency: Annotated[
        bool,
        typer.Option(
            "--no-consistency",
            help="Don't check model consistency - warning: may produce invalid Compose output",
        ),
    ] = False,
    no_env_resolution: Annotated[
        bool, typer.Option("--no-env-resolution", help="Don't resolve service env files")
    ] = False,
    no_interpolate: Annotated[
        bool, typer.Option("--no-interpolate", help="Don't interpolate environment variables")
    ] = False,
    no_normalize: Annotated[bool, typer.Option("--no-normalize", help="Don't normalize compose model")] = False,
    no_path_resolution: Annotated[bool, typer.Option("--no-path-resolution", help="Don't resolve file paths")] = False,
    output: Annotated[str, typer.Option("--output", "-o", help="Save to file (default to stdout)")] = "",
    profiles: Annotated[bool, typer.Option("--profiles", help="Print the profile names, one per line.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only validate the configuration, don't print anything")
    ] = False,
    resolve_image_digests: Annotated[
        bool, typer.Option("--resolve-image-digests", help="Pin image tags to digests")
    ] = False,
    schema: Annotated[
        str,
        typer.Option(
            help="Validate strictly against a version of the format (2.0 to 2.4, 3.0 to 3.13)", metavar="VERSION"
        ),
    ] = "",
    show_services: Annotated[bool, typer.Option("--services", help="Print the service names, one per line.")] = False,
    variables: Annotated[bool, typer.Option("--variables", help="Print model variables and default values.")] = False,
    volumes: Annotated[bool, typer.Option("--volumes", help="Print the volume names, one per line.")] = False,
) -> int:
    """Parse, resolve and render compose file in canonical format"""
    from compose.usecases.config import Config, ConfigRequest

    invocation = Invocation.of(ctx)
    config = Config(
        invocation.request(),
        ConfigRequest(
            services=tuple(services or ()),
            interpolate=not no_interpolate,
            normalize=not no_normalize and not invocation.options.compatibility,
            resolve_paths=not no_path_resolution,
            consistency=not no_consistency,
            # the reference reads the files whatever is said; whoever asks for it here gets it
            resolve_environment=not no_env_resolution,
            schema=schema,
            digest_of=_registry(invocation) if lock_image_digests or resolve_image_digests else None,
            images_only=lock_image_digests,
        ),
    )
    aspects: tuple[tuple[bool, str, Callable[[], str]], ...] = (
        (show_services, "services", lambda: _lines(config.services())),
        (volumes, "volumes", lambda: _lines(config.volumes())),
        (networks, "networks", lambda: _lines(config.networks())),
        (models, "models", lambda: _lines(config.models())),
        (
            bool(hash),
            f"hash {hash}",
            lambda: _lines(f"{name} {digest}" for name, digest in config.hashes(_names(hash))),
        ),
        (profiles, "profiles", lambda: _lines(config.profiles())),
        (images, "images", lambda: _lines(config.images())),
        (variables, "variables", lambda: _variables(config, format)),
        (environment, "environment", lambda: _lines(config.environment())),
        (bool(explain), "explain", lambda: _explanation(config, explain)),
        (bool(graph), f"graph {graph}", lambda: _graph(config, graph)),
        (lock_image_digests or resolve_image_digests, "model pinned", lambda: _model(config, format)),
        (True, f"model {format}", lambda: _model(config, format)),
    )
    name, make = next((name, make) for asked, name, make in aspects if asked)
    try:
        text = make() if name in NOT_KEPT else config.rendered([name], make)
    except LoadError as error:
        if format != "json":
            raise
        _tell_as_data(invocation.console, error)
        return error.exit_code
    if output and not quiet and name.startswith(("graph", "model")):
        _save(invocation.absolute(output), text)
    elif not quiet:
        invocation.console.write(text)
    return 0


def _registry(invocation: Invocation) -> Callable[[str], str]:
    """Asks registries through the engine, with the caller's credentials."""

    def digest_of(reference: str) -> str:
        from compose.usecases.registryauth import RegistryAccess

        access = RegistryAccess(invocation.console.environ, invocation.console.cwd)
        return invocation.client().registry_digest(reference, access.of([reference]))

    return digest_of


def _tell_as_data(console: Console, error: LoadError) -> None:
    """Write the problems as JSON where their text would have been written."""
    import json

    console.stderr.write(json.dumps(error.to_dict(), indent=2, ensure_ascii=False) + "\n")


def _model(config: Config, format: str) -> str:
    if format not in ("", "yaml", "json"):
        raise UsageError(f'unsupported format "{format}"')
    tree = config.model(json=format == "json")
    if format == "json":
        import json

        # the top level and extensions are maps to Go, the rest are objects
        tree = {key: _sorted(value) if key.startswith("x-") else value for key, value in sorted(tree.items())}
        if not config.is_resolved:
            tree = _as_go_maps(tree)
        text = json.dumps(tree, indent=2, ensure_ascii=False)
        return FLOAT_LINE.sub(_as_go_float, text).translate(HTML_ESCAPES)
    from compose.cli.render import goyaml

    return goyaml.dump(tree, sort=not config.is_resolved)


def _as_go_maps(data: Any, path: tuple[str, ...] = ()) -> Any:
    """Data as Go prints maps: sorted, most empty lists as null."""
    if isinstance(data, dict):
        return {key: _as_go_maps(data[key], (*path, key)) for key in sorted(data)}
    if isinstance(data, list):
        if not data and ".".join(path[2:]) not in EMPTY_LISTS.get(path[0], ()):
            return None
        return [_as_go_maps(item, (*path, "[]")) for item in data]
    return data


def _as_go_float(match: re.Match[str]) -> str:
    from compose.model.formats import json_float

    try:
        return match[1] + json_float(float(match[2]))
    except ValueError as error:
        raise ComposeError(str(error)) from None


def _sorted(data: Any) -> Any:
    if isinstance(data, list):
        return [_sorted(item) for item in data]
    return {key: _sorted(data[key]) for key in sorted(data)} if isinstance(data, dict) else data


def _variables(config: Config, format: str) -> str:
    found = config.variables()
    if format in ("json", "yaml"):
        data: dict[str, dict[str, Any]] = {
            name: {
                "Name": name,
                "DefaultValue": variable.default,
                "PresenceValue": variable.presence,
                "Required": variable.required,
            }
            for name, variable in found.items()
        }
        if format == "json":
            import json

            return json.dumps(data, indent=4, ensure_ascii=False) + "\n\n"
        from compose.cli.render import goyaml

        lowered = {name: {key.lower(): value for key, value in row.items()} for name, row in data.items()}
        # the reference's formatter indents by four here
        return re.sub("^ +", lambda spaces: spaces.group() * 2, goyaml.dump(lowered), flags=re.MULTILINE)
    if format not in ("", "table", "pretty"):
        raise UsageError(f'format value "{format}" could not be parsed: parsing failed')
    from compose.cli.render.table import COMPOSE_MIN_WIDTH, table

    header = ("NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE")
    rows = [(name, "true" if one.required else "false", one.default, one.presence) for name, one in found.items()]
    return table([header, *rows], min_width=COMPOSE_MIN_WIDTH)


def _explanation(config: Config, path: str) -> str:
    found = config.explain(path)
    lines = [f"{found.path} = {found.value}", f"  written at {found.mark}" if found.mark else "  implied, not written"]
    if found.written:
        lines.append(f"  as {found.written}")
    for variable in found.variables:
        value = f'"{variable.value}" from {variable.origin}' if variable.value is not None else "not set"
        lines.append(f"  variable {variable.name}: {value}")
    lines += [f"  replaces what {mark} says" for mark in found.replaced]
    return _lines(lines)


def _graph(config: Config, format: str) -> str:
    from compose.cli.render import graph

    writer = graph.WRITERS.get(format)
    if writer is None:
        raise UsageError(f'unsupported graph format "{format}"; expected {", ".join(graph.WRITERS)}')
    return writer(config.graph())


def _names(hash: str) -> list[str]:
    return [] if hash == "*" else hash.split(",")


def _lines(lines: Any) -> str:
    return "".join(f"{line}\n" for line in lines)


def _save(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ComposeError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
