"""Read `RUN --mount`: comma-separated fields, any value of which may hold a variable except `from`.

So a mount is read twice, as BuildKit does: while parsing only for the stage it comes from, and again, with all checks, once
the variables are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.build.dockerfile import units
from runtime.build.dockerfile.model import Mount
from runtime.build.dockerfile.problem import DockerfileError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARINGS = ("shared", "private", "locked")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_KEYS = (
    "type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro", "readwrite", "rw", "required",
    "size", "id", "sharing", "mode", "uid", "gid", "env",
)  # fmt: skip
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_BARE = frozenset({"readonly", "readwrite", "required"})
_OCTAL = re.compile(r"[0-7]{1,11}\Z")
_DECIMAL = re.compile(r"[0-9]{1,10}\Z")
_UINT32 = 2**32


def source_of(flag: str) -> str:
    """The stage, image or context that a `--mount` takes `from`, "" for none. Raises DockerfileError for a variable in it."""
    source = ""
    for text in fields(flag):
        key, found, value = text.partition("=")
        if key.lower() != "from" or not found:
            continue
        if 0 <= value.find("$") != len(value) - 1:
            raise DockerfileError("'from' doesn't support variable expansion, define alias stage instead")
        source = value
    return source


def mount(flag: str, expand: Callable[[str], str]) -> Mount:
    """The mount that a flag means. Raises DockerfileError."""
    read = _Reading()
    for text in fields(flag):
        key, found, value = text.partition("=")
        key = key.lower()
        if not found:
            if _ALIASES.get(key, key) not in _BARE:
                raise DockerfileError(f"invalid field '{text}' must be a key=value pair")
            read.put(_ALIASES.get(key, key), key, "true", text)
        else:
            read.put(_ALIASES.get(key, key), key, expand(value), text)
    return read.done()


def fields(flag: str) -> list[str]:
    """One line of CSV. Raises DockerfileError for quotes that do not close or stand inside a field."""
    found: list[str] = []
    at = 0
    while True:
        if flag.startswith('"', at):
            parts: list[str] = []
            while True:
                end = flag.find('"', at + 1)
                if end < 0:
                    raise DockerfileError('failed to parse csv mounts: extraneous or missing " in quoted-field')
                parts.append(flag[at + 1 : end])
                at = end + 1
                if not flag.startswith('"', at):
                    break
            found.append('"'.join(parts))
            if at < len(flag) and flag[at] != ",":
                raise DockerfileError('failed to parse csv mounts: extraneous or missing " in quoted-field')
        else:
            end = flag.find(",", at)
            text = flag[at:] if end < 0 else flag[at:end]
            if '"' in text:
                raise DockerfileError('failed to parse csv mounts: bare " in non-quoted field')
            found.append(text)
            at += len(text)
        if at >= len(flag):
            return found
        at += 1


@dataclass(slots=True)
class _Reading:
    """Fields seen so far. Their order counts: `required` and `size` must come after `type`."""

    type: str = "bind"
    readonly: bool | None = None
    sharing: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, key: str, value: str, text: str) -> None:
        """Take one field; `key` is what was written, for messages."""
        read = _READERS.get(name)
        if read is None:
            raise DockerfileError(f"unexpected key '{key}' in '{text}'{suggestion(key, _KEYS)}")
        read(self, key, value)

    def done(self) -> Mount:
        values = self.values
        if self.type in ("bind", "tmpfs"):
            for name in ("mode", "uid", "gid"):
                if name in values:
                    raise DockerfileError(f'{name} not allowed for "{self.type}" type mounts')
        if self.type == "secret":
            self._check_secret()
        if self.sharing and self.type != "cache":
            raise DockerfileError(f"invalid cache sharing set for {self.type} mount")
        readonly = self.readonly
        if readonly is None:
            readonly = self.type not in ("cache", "tmpfs")
        return Mount(type=self.type, readonly=readonly, sharing=self.sharing or "shared", **values)  # type: ignore[arg-type]

    def _check_secret(self) -> None:
        values = self.values
        if values.get("from_"):
            raise DockerfileError("secret mount should not have a from")
        if self.sharing:
            raise DockerfileError("secret mount should not define sharing")
        if not (values.get("source") or values.get("target") or values.get("id")):
            raise DockerfileError("invalid secret mount. one of source, target required")
        if values.get("source") and values.get("id"):
            raise DockerfileError("both source and id can't be set")


def _type(read: _Reading, _key: str, value: str) -> None:
    if value.lower() not in _TYPES:
        raise DockerfileError(f'unsupported mount type "{value}"{suggestion(value, _TYPES)}')
    read.type = value.lower()


def _sharing(read: _Reading, _key: str, value: str) -> None:
    if value.lower() not in _SHARINGS:
        raise DockerfileError(f'unsupported sharing value "{value}"{suggestion(value, _SHARINGS)}')
    read.sharing = value.lower()


def _text(name: str) -> Callable[[_Reading, str, str], None]:
    def put(read: _Reading, _key: str, value: str) -> None:
        read.values[name] = value

    return put


def _boolean(key: str, value: str) -> bool:
    found = _BOOLEANS.get(value)
    if found is None:
        raise DockerfileError(f"invalid value for {key}: {value}")
    return found


def _readonly(read: _Reading, key: str, value: str) -> None:
    read.readonly = _boolean(key, value)


def _readwrite(read: _Reading, key: str, value: str) -> None:
    read.readonly = not _boolean(key, value)


def _required(read: _Reading, key: str, value: str) -> None:
    if read.type not in ("secret", "ssh"):
        raise DockerfileError(f"unexpected key '{key}' for mount type '{read.type}'")
    read.values["required"] = _boolean(key, value)


def _size(read: _Reading, key: str, value: str) -> None:
    if read.type != "tmpfs":
        raise DockerfileError(f"unexpected key '{key}' for mount type '{read.type}'")
    try:
        read.values["size"] = units.size(value)
    except ValueError:
        raise DockerfileError(f"invalid value for {key}: {value}") from None


def _number(name: str, form: re.Pattern[str], base: int) -> Callable[[_Reading, str, str], None]:
    def put(read: _Reading, _key: str, value: str) -> None:
        if not form.match(value) or int(value, base) >= _UINT32:
            raise DockerfileError(f"invalid value {value} for {name}")
        read.values[name] = int(value, base)

    return put


_READERS: dict[str, Callable[[_Reading, str, str], None]] = {
    "type": _type,
    "from": _text("from_"),
    "source": _text("source"),
    "target": _text("target"),
    "id": _text("id"),
    "env": _text("env"),
    "readonly": _readonly,
    "readwrite": _readwrite,
    "required": _required,
    "size": _size,
    "sharing": _sharing,
    "mode": _number("mode", _OCTAL, 8),
    "uid": _number("uid", _DECIMAL, 10),
    "gid": _number("gid", _DECIMAL, 10),
}
