"""Read `--chmod`: octal numbers and the symbolic form of chmod(1), `u=rwX,go=rX`."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

_OCTAL: Final = re.compile(r"[0-7]{1,5}")
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION: Final = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_BITS: Final = {"r": 0o444, "w": 0o222, "x": 0o111}
_WHO: Final = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_SHIFTS: Final = {"u": 6, "g": 3, "o": 0}


def reader(text: str) -> Callable[[int, bool], int] | None:
    """The function (old mode, whether it is a directory) -> new mode; None for an empty text. Raises InvalidParameter."""
    if not text:
        return None
    if _OCTAL.fullmatch(text):
        mode = int(text, 8)
        if mode > 0o7777:
            raise _invalid(text)
        return lambda _old, _directory: mode
    clauses = text.split(",")
    if not all(_CLAUSE.fullmatch(clause) for clause in clauses):
        raise _invalid(text)
    return lambda old, directory: _symbolic(clauses, stat.S_IMODE(old), directory=directory)


def _symbolic(clauses: list[str], mode: int, *, directory: bool) -> int:
    for clause in clauses:
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            continue
        mask = 0
        for who in match[1] or "a":
            mask |= _WHO[who]
        for operator, letters in _ACTION.findall(match[2]):
            bits = _wanted(letters, mode, mask, directory=directory)
            if operator == "+":
                mode |= bits
            elif operator == "-":
                mode &= ~bits
            else:
                # a directory keeps its set-id bits unless they are named, as with chmod(1)
                kept = 0o6000 if directory else 0
                mode = (mode & ~(mask & ~kept)) | bits
    return mode


def _wanted(letters: str, mode: int, mask: int, *, directory: bool) -> int:
    if letters in _SHIFTS and letters:
        three = mode >> _SHIFTS[letters] & 7
        return (three << 6 | three << 3 | three) & mask
    bits = 0
    for letter in letters:
        if letter in _BITS:
            bits |= _BITS[letter] & mask
        elif letter == "X":
            bits |= 0o111 & mask if directory or mode & 0o111 else 0
        elif letter == "s":
            bits |= 0o6000 & mask
        else:
            bits |= 0o1000
    return bits


def _invalid(text: str) -> InvalidParameter:
    return InvalidParameter(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
