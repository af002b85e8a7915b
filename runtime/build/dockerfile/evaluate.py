"""Expand one instruction: which of its fields hold variables is BuildKit's choice, written here in one table.

RUN, CMD, ENTRYPOINT, HEALTHCHECK and SHELL are not among them: their shell expands, at run time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.build.dockerfile import mounts
from runtime.build.dockerfile.lexer import Lookup, expand, expand_text, expand_words
from runtime.build.dockerfile.model import (
    Add,
    Copy,
    Env,
    Expose,
    Instruction,
    Label,
    Run,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from runtime.build.dockerfile.ports import exposed
from runtime.build.dockerfile.problem import DockerfileError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", bound=Instruction)


def evaluate(instruction: T, lookup: Lookup, escape: str = "\\", file: str = "Dockerfile") -> T:
    """The instruction with its variables expanded and its quotes taken off.

    RUN gets its `mounts`, EXPOSE its ports as `port/protocol`. ARG is left alone: args.Scope declares it. Raises
    DockerfileError with the instruction's line.
    """
    reader = _EXPANDERS.get(type(instruction))
    if reader is None:
        return instruction
    try:
        found: T = reader(instruction, lookup, escape)
    except DockerfileError as error:
        raise error.at(instruction.position.line, file) from None
    return found


def _pairs(instruction: Any, lookup: Lookup, escape: str) -> Instruction:
    pairs = tuple((expand(name, lookup, escape), expand(value, lookup, escape)) for name, value in instruction.pairs)
    changed: Instruction = replace(instruction, pairs=pairs)
    return changed


def _run(instruction: Run, lookup: Lookup, escape: str) -> Run:
    def one(word: str) -> str:
        return expand(word, lookup, escape)

    return replace(instruction, mounts=tuple(mounts.mount(flag, one) for flag in instruction.mount_flags))


def _copy(instruction: Any, lookup: Lookup, escape: str) -> Instruction:
    changes: dict[str, Any] = {
        name: expand(getattr(instruction, name), lookup, escape) for name in ("destination", "chown", "chmod")
    }
    if isinstance(instruction, Add):
        changes["checksum"] = expand(instruction.checksum, lookup, escape)
    changes["sources"] = tuple(expand(source, lookup, escape) for source in instruction.sources)
    changes["heredocs"] = tuple(
        replace(document, content=expand_text(document.content, lookup)) if document.expand else document
        for document in instruction.heredocs
    )
    changed: Instruction = replace(instruction, **changes)
    return changed


def _expose(instruction: Expose, lookup: Lookup, escape: str) -> Expose:
    words = [word for text in instruction.ports for word in expand_words(text, lookup, escape)]
    return replace(instruction, ports=tuple(port for word in words for port in exposed(word)))


def _volume(instruction: Volume, lookup: Lookup, escape: str) -> Volume:
    paths = tuple(expand(path, lookup, escape) for path in instruction.paths)
    if "" in paths:
        raise DockerfileError("VOLUME specified can not be an empty string")
    return replace(instruction, paths=paths)


def _field(name: str) -> Callable[[Any, Lookup, str], Instruction]:
    def one(instruction: Any, lookup: Lookup, escape: str) -> Instruction:
        changed: Instruction = replace(instruction, **{name: expand(getattr(instruction, name), lookup, escape)})
        return changed

    return one


_EXPANDERS: dict[type[Instruction], Callable[[Any, Lookup, str], Any]] = {
    Add: _copy,
    Copy: _copy,
    Env: _pairs,
    Expose: _expose,
    Label: _pairs,
    Run: _run,
    StopSignal: _field("signal"),
    User: _field("user"),
    Volume: _volume,
    Workdir: _field("path"),
}
