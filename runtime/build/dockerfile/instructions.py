"""Turn one statement into its instruction: a function for each keyword, in one table.

Messages are BuildKit's. FROM is not here: it opens a stage (parser.py).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.build.dockerfile import flags, model, mounts, units
from runtime.build.dockerfile.lexer import expand
from runtime.build.dockerfile.model import Exec, Instruction, Shell
from runtime.build.dockerfile.problem import DockerfileError, suggestion
from runtime.build.dockerfile.statements import Statement, heredoc_start, split_statement
from runtime.build.dockerfile.words import SPACES, blanks, json_array, quoted_words

if TYPE_CHECKING:
    from collections.abc import Callable

_ONBUILD = re.compile(rf"[{SPACES}]*ONBUILD[{SPACES}]*", re.IGNORECASE)
_JSON_FORMS = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "COPY", "ADD", "VOLUME"})
_NETWORKS = ("default", "none", "host")
_SECURITIES = ("sandbox", "insecure")
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}\Z")
_INT32 = 2**31
_SHORTEST_INTERVAL = 1_000_000


def read(statement: Statement, escape: str) -> Instruction:
    """The instruction that a statement is. Raises DockerfileError (without a line)."""
    keyword = statement.keyword.lower()
    reader = _READERS.get(keyword)
    if reader is None:
        raise DockerfileError(
            f"unknown instruction: {statement.keyword}{suggestion(statement.keyword, (*map(str.upper, _READERS), 'FROM'))}"
        )
    return reader(statement, escape)


def _flags(statement: Statement) -> flags.Flags:
    return flags.read(statement.keyword.lower(), statement.flags)


def _command(text: str) -> Shell | Exec:
    words = json_array(text)
    return Shell(text) if words is None else Exec(words)


def _list(text: str) -> tuple[str, ...]:
    """A JSON array, or words between blanks."""
    if not text:
        return ()
    words = json_array(text)
    return tuple(blanks(text)) if words is None else words


def _single(statement: Statement) -> str:
    if not statement.rest:
        raise DockerfileError(f"{statement.keyword.upper()} requires exactly one argument")
    return statement.rest


def _at_least_one(keyword: str) -> DockerfileError:
    return DockerfileError(f"{keyword.upper()} requires at least one argument")


def _pairs(statement: Statement, escape: str) -> tuple[tuple[str, str], ...]:
    """`name=value …`, or the old form `name the whole rest`."""
    keyword = statement.keyword.upper()
    _flags(statement)
    words = quoted_words(statement.rest, escape)
    if not words:
        raise _at_least_one(keyword)
    if "=" not in words[0]:
        parts = blanks(statement.rest, 1)
        if len(parts) < 2:
            raise DockerfileError(f"{keyword} must have two arguments")
        return ((parts[0], parts[1]),)
    pairs = []
    for word in words:
        name, found, value = word.partition("=")
        if not found:
            raise DockerfileError(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not name:
            raise DockerfileError(f"{keyword} names can not be blank")
        pairs.append((name, value))
    return tuple(pairs)


def _env(statement: Statement, escape: str) -> Instruction:
    return model.Env(statement.position, _pairs(statement, escape))


def _label(statement: Statement, escape: str) -> Instruction:
    return model.Label(statement.position, _pairs(statement, escape))


def _arg(statement: Statement, escape: str) -> Instruction:
    words = quoted_words(statement.rest, escape)
    if not words:
        raise _at_least_one("ARG")
    args = []
    for word in words:
        name, found, value = word.partition("=")
        if not name:
            raise DockerfileError("ARG names can not be blank")
        args.append(model.Arg(name, value if found else None, statement.position))
    return model.ArgInstruction(statement.position, tuple(args))


def _run(statement: Statement, _escape: str) -> Instruction:
    given = _flags(statement)
    network, security = given.text("network"), given.text("security")
    if "network" in given.texts and network not in _NETWORKS:
        raise DockerfileError(f'invalid network mode "{network}"{suggestion(network, _NETWORKS)}')
    if "security" in given.texts and security not in _SECURITIES:
        raise DockerfileError(f'invalid security mode "{security}"{suggestion(security, _SECURITIES)}')
    mount_flags = given.many("mount")
    command = _command(statement.rest)
    if statement.heredocs and isinstance(command, Shell) and heredoc_start(command.line) is None:
        command = Shell(command.line + statement.raw_heredocs)
    return model.Run(
        statement.position,
        command,
        mount_flags=mount_flags,
        mount_sources=tuple(mounts.source_of(flag) for flag in mount_flags),
        network=network,  # type: ignore[arg-type]
        security=security,  # type: ignore[arg-type]
        heredocs=statement.heredocs,
    )


def _cmd(statement: Statement, _escape: str) -> Instruction:
    _flags(statement)
    return model.Cmd(statement.position, _command(statement.rest))


def _entrypoint(statement: Statement, _escape: str) -> Instruction:
    _flags(statement)
    return model.Entrypoint(statement.position, _command(statement.rest))


def _shell(statement: Statement, _escape: str) -> Instruction:
    _flags(statement)
    if not statement.rest:
        raise _at_least_one("SHELL")
    words = json_array(statement.rest)
    if words is None:
        raise DockerfileError("SHELL requires the arguments to be in JSON form")
    if not words:
        raise _at_least_one("SHELL")
    return model.ShellInstruction(statement.position, words)


def _expose(statement: Statement, _escape: str) -> Instruction:
    if not statement.rest:
        raise _at_least_one("EXPOSE")
    _flags(statement)
    return model.Expose(statement.position, tuple(sorted(blanks(statement.rest))))


def _volume(statement: Statement, _escape: str) -> Instruction:
    paths = _list(statement.rest)
    if not paths:
        raise _at_least_one("VOLUME")
    _flags(statement)
    paths = tuple(path.strip(SPACES) for path in paths)
    if "" in paths:
        raise DockerfileError("VOLUME specified can not be an empty string")
    return model.Volume(statement.position, paths)


def _user(statement: Statement, _escape: str) -> Instruction:
    user = _single(statement)
    _flags(statement)
    return model.User(statement.position, user)


def _workdir(statement: Statement, _escape: str) -> Instruction:
    path = _single(statement)
    _flags(statement)
    return model.Workdir(statement.position, path)


def _stopsignal(statement: Statement, _escape: str) -> Instruction:
    return model.StopSignal(statement.position, _single(statement))


def _maintainer(statement: Statement, _escape: str) -> Instruction:
    name = _single(statement)
    _flags(statement)
    return model.Maintainer(statement.position, name)


def _copy(statement: Statement, _escape: str) -> Instruction:
    words = _words_of_copy(statement)
    given = _flags(statement)
    sources, destination, heredocs = _sources(statement, words)
    origin = given.text("from")
    if origin and expand(origin, lambda _name: None) != origin:
        raise DockerfileError(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope"
            " as a workaround"
        )
    return model.Copy(
        statement.position,
        sources,
        destination,
        from_=origin,
        chown=given.text("chown"),
        chmod=given.text("chmod"),
        link=given.on("link"),
        parents=given.on("parents"),
        exclude=given.many("exclude"),
        heredocs=heredocs,
    )


def _add(statement: Statement, _escape: str) -> Instruction:
    words = _words_of_copy(statement)
    given = _flags(statement)
    sources, destination, heredocs = _sources(statement, words)
    return model.Add(
        statement.position,
        sources,
        destination,
        chown=given.text("chown"),
        chmod=given.text("chmod"),
        link=given.on("link"),
        keep_git_dir=given.bools.get("keep-git-dir"),
        checksum=given.text("checksum"),
        unpack=given.bools.get("unpack"),
        exclude=given.many("exclude"),
        heredocs=heredocs,
    )


def _words_of_copy(statement: Statement) -> tuple[str, ...]:
    words = _list(statement.rest)
    if len(words) < 2:
        raise DockerfileError(
            f"{statement.keyword.upper()} requires at least two arguments, but only one was provided."
            " Destination could not be determined"
        )
    return words


def _sources(statement: Statement, words: tuple[str, ...]) -> tuple[tuple[str, ...], str, tuple[model.Heredoc, ...]]:
    """(sources that are paths, destination, sources that are here-documents)."""
    *given, destination = words
    if _heredoc_word(destination):
        raise DockerfileError(f"{statement.keyword.upper()} cannot accept a heredoc as a destination")
    documents = {document.name: document for document in statement.heredocs}
    sources, heredocs = [], []
    for word in given:
        begun = _heredoc_word(word)
        if begun is None:
            sources.append(word)
        else:
            if "/" in begun.name or begun.name in (".", ".."):
                raise DockerfileError(f'a here-document is a file, and cannot be called "{begun.name}"')
            heredocs.append(documents.get(begun.name, begun))
    return tuple(sources), destination, tuple(heredocs)


def _heredoc_word(word: str) -> model.Heredoc | None:
    try:
        return heredoc_start(word)
    except DockerfileError:  # an open quote: then it is a strange file name
        return None


def _onbuild(statement: Statement, escape: str) -> Instruction:
    if not statement.rest:
        raise _at_least_one("ONBUILD")
    _flags(statement)
    word, _, rest = split_statement(statement.rest, escape)
    keyword = word.upper()
    if keyword == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if keyword in ("MAINTAINER", "FROM"):
        raise DockerfileError(f"{keyword} isn't allowed as an ONBUILD trigger")
    if keyword in _JSON_FORMS:
        json_array(rest)
    elif keyword in ("ENV", "LABEL") and rest:
        _pairs(replace(statement, keyword=word, flags=(), rest=rest), escape)
    trigger = _ONBUILD.sub("", statement.joined, count=1) + statement.raw_heredocs
    return model.OnBuild(statement.position, trigger)


def _healthcheck(statement: Statement, _escape: str) -> Instruction:
    if not statement.rest:
        raise _at_least_one("HEALTHCHECK")
    kind, *arguments = re.split(f"[{SPACES}]+", statement.rest, maxsplit=1)
    rest = arguments[0] if arguments else ""
    if kind.upper() == "NONE":
        if rest:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments")
        return model.HealthCheck(statement.position, ("NONE",))
    given = _flags(statement)
    if kind.upper() != "CMD":
        raise DockerfileError(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    command = _command(rest)
    if command in (Shell(""), Exec(())):
        raise DockerfileError("Missing command after HEALTHCHECK CMD")
    return model.HealthCheck(
        statement.position,
        ("CMD-SHELL", command.line) if isinstance(command, Shell) else ("CMD", *command.args),
        interval=_interval(given, "interval"),
        timeout=_interval(given, "timeout"),
        start_period=_interval(given, "start-period"),
        start_interval=_interval(given, "start-interval"),
        retries=_retries(given.text("retries")),
    )


def _interval(given: flags.Flags, name: str) -> int:
    text = given.text(name)
    if not text:
        return 0
    try:
        found = units.duration(text)
    except ValueError as error:
        raise DockerfileError(str(error)) from None
    if found and found < _SHORTEST_INTERVAL:
        raise DockerfileError(f'Interval "{name}" cannot be less than 1ms')
    return found


def _retries(text: str) -> int:
    if not text:
        return 0
    if not _NUMBER.match(text) or abs(int(text)) >= _INT32:
        raise DockerfileError(f'--retries "{text}" is not a number')
    if int(text) < 0:
        raise DockerfileError(f"--retries cannot be negative ({int(text)})")
    return int(text)


_READERS: dict[str, Callable[[Statement, str], Instruction]] = {
    "add": _add,
    "arg": _arg,
    "cmd": _cmd,
    "copy": _copy,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "healthcheck": _healthcheck,
    "label": _label,
    "maintainer": _maintainer,
    "onbuild": _onbuild,
    "run": _run,
    "shell": _shell,
    "stopsignal": _stopsignal,
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
