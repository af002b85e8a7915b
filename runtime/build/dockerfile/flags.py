"""Check the `--flags` of an instruction against the table of those it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from runtime.build.dockerfile.problem import DockerfileError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FlagKind: TypeAlias = Literal["bool", "text", "list"]

FLAGS: dict[str, Mapping[str, FlagKind]] = {
    "from": {"platform": "text"},
    "run": {"mount": "list", "network": "text", "security": "text"},
    "copy": {
        "from": "text", "chown": "text", "chmod": "text", "link": "bool", "parents": "bool", "exclude": "list",
    },
    "add": {
        "chown": "text", "chmod": "text", "link": "bool", "keep-git-dir": "bool", "checksum": "text", "unpack": "bool",
        "exclude": "list",
    },
    "healthcheck": {
        "interval": "text", "timeout": "text", "start-period": "text", "start-interval": "text", "retries": "text",
    },
}  # fmt: skip
"""Of each instruction; those not named have none."""
UNCHECKED = frozenset({"arg", "stopsignal"})
"""BuildKit ignores flags here."""


@dataclass(slots=True)
class Flags:
    """Those that were given."""

    texts: dict[str, str] = field(default_factory=dict)
    bools: dict[str, bool] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value, "" if not given."""
        return self.texts.get(name, "")

    def on(self, name: str) -> bool:
        """Whether a switch was given and is not false."""
        return self.bools.get(name, False)

    def many(self, name: str) -> tuple[str, ...]:
        """All values, in order."""
        return tuple(self.lists.get(name, ()))


def read(keyword: str, given: Iterable[str]) -> Flags:
    """The flags of an instruction (its keyword in lower case). Raises DockerfileError."""
    flags = Flags()
    if keyword in UNCHECKED:
        return flags
    known = FLAGS.get(keyword, {})
    seen: set[str] = set()
    for word in given:
        shown, has_value, value = word.partition("=")
        name = shown[2:]
        kind = known.get(name)
        if kind is None:
            raise DockerfileError(f"unknown flag: {shown}{suggestion(name, known)}")
        if name in seen and kind != "list":
            raise DockerfileError(f"duplicate flag specified: {shown}")
        seen.add(name)
        if kind == "bool":
            flags.bools[name] = _switch(shown, value, bool(has_value))
        elif not has_value:
            raise DockerfileError(f"missing a value on flag: {shown}")
        elif kind == "list":
            flags.lists.setdefault(name, []).append(value)
        else:
            flags.texts[name] = value
    return flags


def _switch(shown: str, value: str, has_value: bool) -> bool:
    if has_value and not value:
        raise DockerfileError(f"missing a value on flag: {shown}")
    if value.lower() not in ("", "true", "false"):
        raise DockerfileError(f"expecting boolean value for flag {shown}, not: {value}")
    return value.lower() != "false"
