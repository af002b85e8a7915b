"""Answer a completion script: what may stand in the place of the last word.

A line a candidate, its description behind a tab; the last line says what else the shell may offer: `:files`,
`:directories` or `:nothing`. Nothing here may fail or start an engine: no candidates is an answer too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from typer import _click
from typer.core import TyperArgument, TyperGroup, TyperOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compose.cli.console import Console
    from compose.cli.invocation import Invocation
    from compose.model.project import Project

FILES, DIRECTORIES, NOTHING = ":files", ":directories", ":nothing"
Candidate = tuple[str, str]


class Line(NamedTuple):
    """A command line as far as it goes: the command it names, and what stands behind it."""

    command: _click.Command
    context: _click.Context
    path: str
    arguments: list[str]
    """Without options and their values."""
    only_arguments: bool
    """Options end: behind `--`, or behind the command of `exec` and `run`."""
    pending: TyperOption | None
    """The option whose value is being typed."""


class Answer(NamedTuple):
    """Candidates, and what the shell adds."""

    candidates: list[Candidate]
    rest: str = NOTHING


def answer(root: _click.Command, words: Sequence[str], console: Console) -> int:
    """Print what may stand for the last of `words`."""
    from compose.cli.invocation import Invocation

    *before, typed = words or [""]
    invocation = Invocation(console)
    try:
        found = complete(root, before, typed, invocation)
    except Exception:  # whatever is wrong with files or line, a shell in the middle of a word is no place to say it
        found = Answer([])
    finally:
        invocation.close()
    lines = [f"{value}\t{what}" for value, what in found.candidates if value.startswith(typed)]
    console.write("".join(f"{line}\n" for line in (*lines, found.rest)))
    return 0


def complete(root: _click.Command, before: Sequence[str], typed: str, invocation: Invocation) -> Answer:
    """What may follow `before`, beginning with `typed`."""
    line = read(root, before, invocation)
    if line.pending is not None:
        return _value(line, line.pending, invocation)
    name, equals, _ = typed.partition("=")
    if typed.startswith("-") and not line.only_arguments:
        option = _options(line.command).get(name) if equals else None
        if option is None:
            return Answer(_flags(line.command))
        found = _value(line, option, invocation)
        return Answer([(f"{name}={value}", what) for value, what in found.candidates], found.rest)
    if isinstance(line.command, TyperGroup):
        return Answer(_commands(line.command))
    return _argument(line, invocation)


def read(root: _click.Command, words: Sequence[str], invocation: Invocation) -> Line:
    """Walk down to the command, past options and their values; global options are applied to the invocation."""
    command, context, path = root, _click.Context(root, info_name="pycompose", obj=invocation), ""
    arguments: list[str] = []
    only_arguments = False
    pending: TyperOption | None = None
    for word in words:
        if pending is not None:
            _take(context, pending, word)
            pending = None
        elif only_arguments or not word.startswith("-") or word == "-":
            if isinstance(command, TyperGroup):
                found = command.get_command(context, word)
                if found is None:
                    break
                command, context = found, _click.Context(found, info_name=word, parent=context, obj=invocation)
                path = f"{path} {word}".strip()
                continue
            arguments.append(word)
            only_arguments = only_arguments or not command.context_settings.get("allow_interspersed_args", True)
        elif word == "--":
            only_arguments = True
        else:
            name, equals, value = word.partition("=")
            option = _options(command).get(name) or _options(command).get(word[:2])
            if option is None or option.is_flag:
                continue
            if equals or name not in option.opts:
                _take(context, option, value if equals else word[2:])
            else:
                pending = option
    _apply(context.find_root(), invocation)
    return Line(command, context, path, arguments, only_arguments, pending)


def _take(context: _click.Context, option: TyperOption, value: str) -> None:
    context.params.setdefault(str(option.name), []).append(value)


def _apply(root: _click.Context, invocation: Invocation) -> None:
    """What the line says before the command decides whose services are meant."""
    from compose.cli.invocation import GlobalOptions

    given: Mapping[str, list[str]] = root.params
    invocation.apply(
        GlobalOptions(
            files=tuple(given.get("file", ())),
            env_files=tuple(given.get("env_file", ())),
            profiles=tuple(given.get("profile", ())),
            project_name=given.get("project_name", [""])[-1],
            project_directory=given.get("project_directory", [""])[-1],
        )
    )


def _options(command: _click.Command) -> dict[str, TyperOption]:
    return {name: item for item in command.params if isinstance(item, TyperOption) for name in item.opts}


def _flags(command: _click.Command) -> list[Candidate]:
    found = [
        (name, item.help or "")
        for item in command.params
        if isinstance(item, TyperOption) and not item.hidden
        for name in item.opts
        if name.startswith("--")
    ]
    return sorted([*found, ("--help", "Show help for the command")])


def _commands(group: TyperGroup) -> list[Candidate]:
    nested, table = getattr(group, "nested", {}), getattr(group, "table", {})
    return sorted([*((name, what) for name, (what, _) in nested.items()), *table.items()])


def _argument(line: Line, invocation: Invocation) -> Answer:
    known = [item for item in line.command.params if isinstance(item, TyperArgument)]
    if not known:
        return Answer([])
    place = min(len(line.arguments), len(known) - 1)
    metavar = known[place].make_metavar(line.context).strip("{}")
    if len(line.arguments) >= len(known) and known[-1].nargs != -1:
        return Answer([])
    source = ARGUMENTS.get(line.path) or ARGUMENTS.get(metavar)
    if source is None:
        return Answer([], FILES)
    found = source(invocation)
    taken = set(line.arguments)
    return Answer([item for item in found.candidates if item[0] not in taken], found.rest)


def _value(line: Line, option: TyperOption, invocation: Invocation) -> Answer:
    names = [name.lstrip("-") for name in option.opts if name.startswith("--")]
    for name in names:
        source = VALUES.get(f"{line.path} {name}") or VALUES.get(name)
        if source is not None:
            return source(invocation)
    return Answer([], FILES if option.type.name != "integer" else NOTHING)


# --- where candidates come from ----------------------------------------------------------------------------------


def _project(invocation: Invocation) -> Project:
    from compose.usecases import projects

    return projects.load_project(invocation.request().replace(warn=None, remote=None))


def _services(invocation: Invocation) -> Answer:
    project = _project(invocation)
    names = {**project.services, **project.disabled_services}
    return Answer([(name, str(service.image or "")) for name, service in sorted(names.items())])


def _suffixed(sign: str, rest: str = NOTHING) -> Callable[[Invocation], Answer]:
    def found(invocation: Invocation) -> Answer:
        return Answer([(f"{name}{sign}", what) for name, what in _services(invocation).candidates], rest)

    return found


def _profiles(invocation: Invocation) -> Answer:
    project = _project(invocation)
    services = (*project.services.values(), *project.disabled_services.values())
    return Answer([(name, "") for name in sorted({name for service in services for name in service.profiles})])


def _projects(invocation: Invocation) -> Answer:
    found = invocation.client(start=False).containers(all=True)
    label = "com.docker.compose.project"
    names = {item["Config"]["Labels"].get(label) for item in found}
    return Answer([(name, "") for name in sorted(filter(None, names))])


def _containers(invocation: Invocation) -> Answer:
    found = invocation.client(start=False).containers(all=True)
    return Answer([(item["Name"].lstrip("/"), item["Config"]["Image"]) for item in found])


def _images(invocation: Invocation) -> Answer:
    found = invocation.client(start=False).images()
    return Answer([(tag, "") for item in found for tag in item.get("RepoTags") or ()])


def _networks(invocation: Invocation) -> Answer:
    found = invocation.client(start=False).snapshot("")["Networks"]
    return Answer([(item["Name"], item["Driver"]) for item in found])


def _volumes(invocation: Invocation) -> Answer:
    found = invocation.client(start=False).snapshot("")["Volumes"]
    return Answer([(item["Name"], item["Driver"]) for item in found])


def _words(*words: str) -> Callable[[Invocation], Answer]:
    return lambda _: Answer([(word, "") for word in words])


def _only(rest: str) -> Callable[[Invocation], Answer]:
    return lambda _: Answer([], rest)


ARGUMENTS: Mapping[str, Callable[[Invocation], Answer]] = {
    "completion": _words("bash", "fish", "zsh"),
    "cp": _suffixed(":", FILES),
    "scale": _suffixed("="),
    "image inspect": _images,
    "image rm": _images,
    "image save": _images,
    "image tag": _images,
    "network disconnect": _networks,
    "network inspect": _networks,
    "network rm": _networks,
    "volume inspect": _volumes,
    "volume rm": _volumes,
    "SERVICE": _services,
    "[SERVICE]": _services,
    "[SERVICE...]": _services,
    "[SERVICES]": _services,
    "[SERVICES...]": _services,
    "SERVICE [SERVICE...]": _services,
    "CONTAINER": _containers,
    "NETWORK": _networks,
    "VOLUME": _volumes,
}
"""By the path of the command, else by what its usage calls the argument; files for all others."""
VALUES: Mapping[str, Callable[[Invocation], Answer]] = {
    "ansi": _words("always", "auto", "never"),
    "attach": _services,
    "exit-code-from": _services,
    "file": _only(FILES),
    "env-file": _only(FILES),
    "format": _words("json", "table"),
    "config format": _words("json", "yaml"),
    "no-attach": _services,
    "policy": _words("always", "missing"),
    "profile": _profiles,
    "progress": _words("auto", "json", "plain", "quiet", "tty"),
    "project-directory": _only(DIRECTORIES),
    "project-name": _projects,
    "pull": _words("always", "missing", "never"),
    "rmi": _words("all", "local"),
    "scale": _suffixed("="),
    "signal": _words("SIGHUP", "SIGINT", "SIGKILL", "SIGTERM", "SIGUSR1", "SIGUSR2"),
    "status": _words("created", "dead", "exited", "paused", "removing", "restarting", "running"),
}
"""By the command's path and the option's name, else by the name; files for all others that are no numbers."""
