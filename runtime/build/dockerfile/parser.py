"""Read a Dockerfile: text to stages of instructions, or the first thing that is wrong with it and where.

Nothing is expanded and nothing looked up, so one parse serves every target, platform and set of build arguments.
"""

from __future__ import annotations

import re
from dataclasses import replace

from runtime.build.dockerfile import flags, instructions, lint
from runtime.build.dockerfile.model import Arg, ArgInstruction, Dockerfile, Instruction, Position, Stage
from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.statements import Statement, cut
from runtime.build.dockerfile.words import blanks

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
MOST_STAGES = 10_000
"""A file of 8 MiB could hold a million; nothing real comes near."""


def parse(data: bytes | str, name: str = "Dockerfile") -> Dockerfile:
    """The Dockerfile in `data`; `name` is what messages call it. Raises DockerfileError with `name:line`."""
    try:
        return _parse(data, name)
    except DockerfileError as error:
        raise error.at(error.line, name) from None


def parse_trigger(trigger: str, position: Position, name: str = "Dockerfile") -> Instruction:
    """The instruction that an ONBUILD trigger of a base image is; `position` is the FROM that brought it.

    Raises DockerfileError, also for a trigger of more than one instruction.
    """
    try:
        source = cut(trigger)
        if len(source.statements) != 1:
            raise DockerfileError("onbuild trigger should be a single expression")
        statement = replace(source.statements[0], position=position)
        if statement.keyword.lower() == "from":
            raise DockerfileError("FROM isn't allowed as an ONBUILD trigger")
        return instructions.read(statement, source.escape)
    except DockerfileError as error:
        raise DockerfileError(f"ONBUILD {trigger.split(chr(10), 1)[0]}: {error.text}", position.line, name) from None


def _parse(data: bytes | str, name: str) -> Dockerfile:
    source = cut(data)
    meta_args: list[Arg] = []
    stages: list[Stage] = []
    body: list[Instruction] = []
    for statement in source.statements:
        try:
            if statement.keyword.lower() == "from":
                _close(stages, body)
                stages.append(_stage(statement, len(stages)))
                continue
            instruction = instructions.read(statement, source.escape)
        except DockerfileError as error:
            raise error.at(statement.position.line, name) from None
        if stages:
            body.append(instruction)
        elif isinstance(instruction, ArgInstruction):
            meta_args.extend(instruction.args)
        else:
            raise DockerfileError("no build stage in current context", statement.position.line, name)
    if not stages:
        raise DockerfileError("dockerfile contains no stages to build")
    _close(stages, body)
    warnings = lint.warnings(source, stages)
    return Dockerfile(
        syntax=source.syntax,
        escape=source.escape,
        meta_args=tuple(meta_args),
        stages=tuple(stages),
        warnings=warnings,
        name=name,
    )


def _close(stages: list[Stage], body: list[Instruction]) -> None:
    """Give the stage that is being read what was read of it."""
    if stages:
        stages[-1] = replace(stages[-1], instructions=tuple(body))
    body.clear()


def _stage(statement: Statement, index: int) -> Stage:
    if index >= MOST_STAGES:
        raise DockerfileError(f"more than {MOST_STAGES} stages")
    words = blanks(statement.rest) if statement.rest else []
    if len(words) == 3 and words[1].lower() == "as":
        name = words[2].lower()
        if not _STAGE_NAME.match(name):
            raise DockerfileError(
                f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
            )
    elif len(words) == 1:
        name = ""
    else:
        raise DockerfileError("FROM requires either one or three arguments")
    given = flags.read("from", statement.flags)
    return Stage(index, name, words[0], given.text("platform"), (), statement.position)
