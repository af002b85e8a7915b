"""Resolve a user specification against the texts of a container's passwd and group files.

Never the host's name service: names mean what the image says, so this is a pure function on file texts.
A numeric argument is always an id, even where a user has that name (CVE-2016-3697); ids that the kernel would wrap
are refused (CVE-2024-40635); the primary group is also a supplementary one (CVE-2022-36109).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ID = 2**31 - 1
_RANGE = f"uids and gids must be in range 0-{MAX_ID}"
_TOO_LONG = 20
"""More digits than any 64-bit number has: out of range without being parsed."""


class User(NamedTuple):
    """Whom a process runs as; `groups` holds the primary gid first and no gid twice."""

    uid: int
    gid: int
    groups: list[int]
    home: str


class _Passwd(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class _Group(NamedTuple):
    name: str
    gid: int
    members: list[str]


def lookup(spec: str, group_add: Sequence[str], passwd: str, group: str) -> User:
    """The ids that `user[:group]` and the additional groups stand for; an empty text is a missing file.

    Raises InvalidParameter for an unknown name and for an id outside 0..2147483647.
    """
    user_arg, _, rest = spec.partition(":")
    group_arg = rest.partition(":")[0]
    entry = _find_user(user_arg, passwd)
    groups = list(_parse_group(group))
    gid = entry.gid
    supplementary: list[int] = []
    if group_arg:
        gid = _find_group(group_arg, groups)
    elif entry.name:
        supplementary = [g.gid for g in groups if entry.name in g.members]
    supplementary += [_find_group(name, groups) for name in group_add]
    ids = list(dict.fromkeys([gid, *supplementary]))
    _check_range(entry.uid, *ids)
    return User(entry.uid, gid, ids, entry.home or "/")


def home_of(uid: int, passwd: str) -> str:
    """The home directory of a number that is final, `/` where the file does not know it."""
    return next((entry.home for entry in _parse_passwd(passwd) if entry.uid == uid), "") or "/"


def _find_user(arg: str, passwd: str) -> _Passwd:
    number = 0 if not arg else _number(arg)
    for entry in _parse_passwd(passwd):
        if (entry.name == arg) if number is None else (entry.uid == number):
            return entry
    if number is None:
        raise InvalidParameter(f"unable to find user {arg}: no matching entries in passwd file", user=arg)
    _check_range(number)
    return _Passwd("", number, 0, "/")


def _find_group(arg: str, groups: list[_Group]) -> int:
    number = _number(arg)
    if number is not None:
        _check_range(number)
        return number
    for entry in groups:
        if entry.name == arg:
            return entry.gid
    raise InvalidParameter(f"unable to find group {arg}: no matching entries in group file", group=arg)


def _parse_passwd(text: str) -> Iterator[_Passwd]:
    for line in _lines(text):
        name, _, uid, gid, _, home = (*line.split(":"), "", "", "", "", "", "")[:6]
        uid_number, gid_number = _number(uid), _number(gid)
        if name and uid_number is not None and gid_number is not None:
            yield _Passwd(name, uid_number, gid_number, home)


def _parse_group(text: str) -> Iterator[_Group]:
    for line in _lines(text):
        name, _, gid, members = (*line.split(":"), "", "", "", "")[:4]
        number = _number(gid)
        if name and number is not None:
            yield _Group(name, number, members.split(","))


def _lines(text: str) -> Iterator[str]:
    # Not splitlines(): form feeds and Unicode separators would cut one entry into two.
    for line in text.split("\n"):
        stripped = line.strip(" \t\r\v\f")
        if stripped:
            yield stripped


def _number(text: str) -> int | None:
    """A decimal number with an optional sign as C and Go read it; None for anything else (`0x10`, `app `, `1_0`)."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    significant = digits.lstrip("0")
    if len(significant) > _TOO_LONG:
        return MAX_ID + 1
    value = int(significant or "0")
    return -value if text[0] == "-" else value


def _check_range(*ids: int) -> None:
    if any(not 0 <= number <= MAX_ID for number in ids):
        raise InvalidParameter(_RANGE)
