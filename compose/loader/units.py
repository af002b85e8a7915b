"""Durations, sizes and command lines as the specification writes them; errors are ValueErrors for the user.

Durations are Go's (`1h30m`, `1.5s`) with days and weeks; sizes count in powers of 1024 (`1.5g`, `64kb`, `2GiB`).
"""

from __future__ import annotations

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86400 * 10**9, "w": 604800 * 10**9,
}  # fmt: skip
_PART = re.compile(r"(\d*)(?:\.(\d*))?([^\d.]*)")
DIGITS = r"[0-9]+(?:_[0-9]+)*"
_SIZE = re.compile(
    rf"(\+?(?:{DIGITS}(?:\.(?:{DIGITS})?)?|\.{DIGITS})(?:e[-+]?{DIGITS})?) ?(([kmgtp])(i?b)?|b)?$", re.IGNORECASE
)
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
UNITS = "a number and a unit: ns us ms s m h d w"
SIZES = "a number and a unit: b k m g t p (or kb, mib, ...)"
_INT64 = 2**63


def parse_duration(text: str) -> int:
    """Nanoseconds."""
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    if not body:
        raise ValueError(f'time: invalid duration "{text}"')
    total = Fraction(0)
    at = 0
    while at < len(body):
        part = _PART.match(body, at)
        whole, decimals, unit = part.groups() if part else ("", "", "")
        if not whole and not decimals:
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _NANOSECONDS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        if len(whole) > 19:
            raise ValueError(f'time: invalid duration "{text}"')
        number = Fraction(int(whole or 0))
        if decimals:
            number += Fraction(int(decimals[:18]), 10 ** len(decimals[:18]))
        total += int(number * _NANOSECONDS[unit])
        if total >= _INT64:
            raise ValueError(f'time: invalid duration "{text}"')
        at = part.end() if part else len(body)
    return sign * int(total)


def parse_size(text: str) -> int:
    """Bytes."""
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    number, _, letter, _ = match.groups()
    size = float(number) * 1024 ** _EXPONENT[(letter or "").lower()]
    if size >= _INT64:
        raise ValueError(f"invalid size: '{text}' is more than 8 EiB")
    return int(size)


def split_command(line: str) -> tuple[str, ...]:
    """Arguments of a command line, split and unquoted as a shell does, but nothing is expanded.

    An unquoted `; & | < >` ends the line, as in the reference: there is no shell that could act on it.
    """
    arguments: list[str] = []
    word = ""
    begun = escaped = back = dollar = False
    quote = ""
    for character in line:
        if escaped:
            word += character
            escaped = False
            begun = True
            continue
        if character == "\\" and quote != "'":
            escaped = True
            continue
        if character in " \t\r\n":
            if quote or back or dollar:
                word += character
            elif begun:
                arguments.append(word)
                word, begun = "", False
            continue
        if character in "\"'" and not dollar and quote in ("", character):
            begun = begun or bool(quote)
            quote = "" if quote else character
            continue
        if character == "`" and not quote and not dollar:
            back = not back
        elif character == ")" and not quote and not back:
            dollar = not dollar
        elif character == "(" and not quote and not back:
            if dollar or not word.endswith("$"):
                raise ValueError("invalid command line string")
            dollar = True
            word += "("
            continue
        elif character in ";&|<>" and not (quote or back or dollar):
            if character == ">" and word[:1].isdigit():
                begun = False
            break
        begun = True
        word += character
    if begun:
        arguments.append(word)
    if escaped or quote or back or dollar:
        raise ValueError("invalid command line string")
    return tuple(arguments)
