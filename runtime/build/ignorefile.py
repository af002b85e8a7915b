"""The rules of a .dockerignore and of --exclude, as the trees that are copied from ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidParameter
from runtime.wire.ignorefile import BadPattern, Matcher, parse

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rules:
    """Which paths of a tree are left out; paths are relative to it, without a leading slash."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises InvalidParameter for a pattern that means nothing."""
        try:
            self._matcher = Matcher(patterns)
        except BadPattern as error:
            raise InvalidParameter(f"invalid ignore pattern: {error}") from error

    def excludes(self, path: str) -> bool:
        """Whether the rules take this path out."""
        return self._matcher.matches(path)

    def may_include_below(self, path: str) -> bool:
        """Whether something below the excluded directory `path` may be taken back in."""
        return self._matcher.has_negations and not self._matcher.prunes(path)


def rules_of(text: str) -> Rules | None:
    """The rules in the text of an ignore file; None if it has none."""
    patterns = parse(text)
    return Rules(patterns) if patterns else None


def exclude_of(patterns: Sequence[str]) -> Rules | None:
    """The rules of COPY's --exclude flags."""
    return Rules(patterns) if patterns else None
