"""The error of a Dockerfile: where it is, what is wrong, and the nearest name when one was misspelt.

The words are BuildKit's, so that an answer found for one builder serves the other; `FILE:LINE:` comes before them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterable

FARTHEST = 2
"""Edits between a word and what is offered instead, as in BuildKit."""
LONGEST_GUESSED = 64
"""Characters; nobody misspells more, and the distance is quadratic."""


class DockerfileError(InvalidParameter):
    """The Dockerfile, or what was asked of it, is wrong; `line` is 0 where no line is to blame."""

    def __init__(self, text: str, line: int = 0, file: str = "Dockerfile") -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {text}", file=file, line=line)
        self.text = text
        self.line = line
        self.file = file

    def at(self, line: int, file: str) -> DockerfileError:
        """The same error at a place; one that already has a line keeps it."""
        return DockerfileError(self.text, self.line or line, file)


def suggestion(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the nearest of the known names, else nothing; letter case does not count."""
    best, least = "", FARTHEST + 1
    for name in sorted(known):
        if name.lower() == word.lower():
            return f" (did you mean {name}?)" if name != word else ""
        away = _distance(word.lower(), name.lower())
        if away < min(least, len(word)):
            best, least = name, away
    return f" (did you mean {best}?)" if best else ""


def _distance(one: str, other: str) -> int:
    """Levenshtein's distance; anything above FARTHEST for words that are too long or too unlike to matter."""
    if abs(len(one) - len(other)) > FARTHEST or max(len(one), len(other)) > LONGEST_GUESSED:
        return FARTHEST + 1
    above = list(range(len(other) + 1))
    for row, char in enumerate(one, 1):
        line = [row]
        for column, against in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (char != against)))
        above = line
    return above[-1]
