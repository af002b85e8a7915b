"""Docker's `--filter name=value`: values of one name are alternatives, labels must all be there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

BAD_FLAG = 125
"""Docker's exit code for a flag that cannot be read."""
YES = frozenset({"1", "true", "True", "TRUE", "t", "T"})
NO = frozenset({"0", "false", "False", "FALSE", "f", "F"})


class Filters:
    """What was asked for, by name."""

    def __init__(self, given: Iterable[str], known: Collection[str]) -> None:
        """Raises UsageError for what is no filter, ComposeError for a name that is not `known`."""
        self._values: dict[str, list[str]] = {}
        for text in given:
            name, equals, value = text.partition("=")
            if not equals:
                raise UsageError(
                    f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)',
                    exit_code=BAD_FLAG,
                )
            self._values.setdefault(name.strip().lower(), []).append(value.strip())
        for name in self._values:
            if name not in known:
                raise ComposeError(f"invalid filter '{name}'")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def values(self, name: str) -> list[str]:
        """The values given for a name."""
        return self._values.get(name, [])

    def exactly(self, name: str, value: str) -> bool:
        """Whether one of the values is `value`; true without any."""
        return name not in self._values or value in self._values[name]

    def matches(self, name: str, value: str) -> bool:
        """Whether one of the values, a regular expression, is found in `value`; true without any."""
        if name not in self._values:
            return True
        try:
            return any(wanted == value or re.search(wanted, value) for wanted in self._values[name])
        except re.error as error:
            raise ComposeError(f"invalid filter '{name}': {error}") from error

    def labelled(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether all labels asked for (`key`, `key=value`) are there."""
        pairs = (text.partition("=") for text in self.values(name))
        return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)

    def keeps(self, labels: Mapping[str, str]) -> bool:
        """Whether a prune that has `label!` spares something with these labels."""
        return "label!" in self._values and self.labelled(labels, "label!")

    def boolean(self, name: str) -> bool | None:
        """The value of a filter that is true or false; None without one. Raises ComposeError."""
        values = self.values(name)
        if not values:
            return None
        if all(value in YES for value in values):
            return True
        if all(value in NO for value in values):
            return False
        raise ComposeError(f"invalid filter '{name}=[{' '.join(values)}]'")
