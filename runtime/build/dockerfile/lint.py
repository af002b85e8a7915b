"""Say what is legal but likely a mistake: those of BuildKit's checks that need the text alone, in its words.

`# check=skip=RULE,…` silences rules (`all` every one), `# check=error=true` makes the first warning an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.build.dockerfile.model import LintWarning, Stage
from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.words import blanks, json_array, quoted_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.build.dockerfile.statements import Source, Statement

_RESERVED = frozenset({"context", "scratch"})
_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NOT_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_ONE_A_STAGE = {"cmd": "CMD", "entrypoint": "ENTRYPOINT", "healthcheck": "HEALTHCHECK"}


def warnings(source: Source, stages: list[Stage]) -> tuple[LintWarning, ...]:
    """What is to be said about a file, by line. Raises DockerfileError if the file wants warnings to be errors."""
    skipped, as_errors = _options(source.check)
    if "all" in skipped:
        return ()
    found = [
        *source.warnings,
        *_casing(source.statements),
        *_lines(source.statements, source.escape),
        *_names(stages),
        *_repeated(source.statements),
    ]
    kept = sorted((item for item in found if item.rule.lower() not in skipped), key=lambda item: item.line)
    if kept and as_errors:
        raise DockerfileError(f"{kept[0].rule}: {kept[0].message}", kept[0].line)
    return tuple(kept)


def _options(check: str) -> tuple[frozenset[str], bool]:
    """(rules to skip, in lower case; whether warnings are errors) of the `check` directive."""
    skipped: frozenset[str] = frozenset()
    as_errors = False
    for part in check.split(";"):
        key, _, value = part.strip().partition("=")
        if key == "skip":
            skipped = frozenset(rule.strip().lower() for rule in value.split(","))
        elif key == "error":
            as_errors = value.strip().lower() in ("true", "1", "t")
    return skipped, as_errors


def _casing(statements: list[Statement]) -> Iterator[LintWarning]:
    keywords = [statement.keyword for statement in statements]
    lower = sum(word == word.lower() for word in keywords)
    upper = sum(word == word.upper() for word in keywords)
    right = "lowercase" if lower > upper else "uppercase"
    for statement in statements:
        word = statement.keyword
        if word != (word.lower() if right == "lowercase" else word.upper()):
            text = f"Command '{word}' should match the case of the command majority ({right})"
            yield LintWarning("ConsistentInstructionCasing", text, statement.position.line)


def _lines(statements: list[Statement], escape: str) -> Iterator[LintWarning]:
    for statement in statements:
        line = statement.position.line
        keyword = statement.keyword.lower()
        if keyword == "maintainer":
            text = "Maintainer instruction is deprecated in favor of using label"
            yield LintWarning("MaintainerDeprecated", text, line)
        elif keyword in ("cmd", "entrypoint") and json_array(statement.rest) is None:
            text = (
                f"JSON arguments recommended for {statement.keyword.upper()} to prevent unintended behavior related to OS"
                " signals"
            )
            yield LintWarning("JSONArgsRecommended", text, line)
        elif keyword == "from":
            yield from _from(statement)
        elif keyword in ("env", "label", "arg"):
            words = quoted_words(statement.rest, escape)
            if keyword != "arg" and "=" not in words[0]:
                name = statement.keyword.upper()
                text = f'"{name} key=value" should be used instead of legacy "{name} key value" format'
                yield LintWarning("LegacyKeyValueFormat", text, line)
                words = words[:1]
            if keyword != "label":
                yield from _secrets(statement.keyword.upper(), words, line)


def _secrets(keyword: str, words: list[str], line: int) -> Iterator[LintWarning]:
    for word in words:
        name = word.partition("=")[0]
        if _SECRET.search(name) and not _NOT_SECRET.search(name):
            text = f'Do not use ARG or ENV instructions for sensitive data ({keyword} "{name}")'
            yield LintWarning("SecretsUsedInArgOrEnv", text, line)


def _from(statement: Statement) -> Iterator[LintWarning]:
    words = blanks(statement.rest)
    if len(words) != 3:
        return
    line = statement.position.line
    _, joiner, name = words
    if name != name.lower():
        yield LintWarning("StageNameCasing", f"Stage name '{name}' should be lowercase", line)
    keyword = statement.keyword
    cases = [case for case in (str.lower, str.upper) if case(keyword) == keyword]
    if cases and joiner != cases[0](joiner):
        yield LintWarning("FromAsCasing", f"'{joiner}' and '{keyword}' keywords' casing do not match", line)


def _names(stages: list[Stage]) -> Iterator[LintWarning]:
    seen: set[str] = set()
    for stage in stages:
        if stage.name in _RESERVED:
            text = f'Stage name should not use the same name as reserved stage "{stage.name}"'
            yield LintWarning("ReservedStageName", text, stage.line)
        if stage.name in seen:
            text = f'Duplicate stage name "{stage.name}", stage names should be unique'
            yield LintWarning("DuplicateStageName", text, stage.line)
        if stage.name:
            seen.add(stage.name)


def _repeated(statements: list[Statement]) -> Iterator[LintWarning]:
    """Only the last CMD, ENTRYPOINT and HEALTHCHECK of a stage counts; the others are named."""
    last: dict[str, Statement] = {}
    for statement in statements:
        keyword = statement.keyword.lower()
        if keyword == "from":
            last.clear()
        elif keyword in _ONE_A_STAGE:
            before = last.get(keyword)
            last[keyword] = statement
            if before:
                text = (
                    f"Multiple {_ONE_A_STAGE[keyword]} instructions should not be used in the same stage because only the"
                    " last one will be used"
                )
                yield LintWarning("MultipleInstructionsDisallowed", text, before.position.line)
