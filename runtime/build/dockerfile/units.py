"""Durations of HEALTHCHECK and sizes of tmpfs mounts as Go reads them; whatever is wrong is a ValueError."""

from __future__ import annotations

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_PART = re.compile(r"([0-9]{0,19})(?:\.([0-9]{0,40}))?([^0-9.]*)")
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}) ?(?:([kmgtp])(?:i?b)?|b)?\Z", re.IGNORECASE)
_EXPONENT = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_INT64 = 2**63


def duration(text: str) -> int:
    """Nanoseconds of `1h30m`, `1.5s` or `0`. Raises ValueError."""
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    total = Fraction(0)
    at = 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None or not (part[1] or part[2]):
            raise ValueError(f'time: invalid duration "{text}"')
        if not part[3]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if part[3] not in _NANOSECONDS:
            raise ValueError(f'time: unknown unit "{part[3]}" in duration "{text}"')
        total += Fraction(f"{part[1] or 0}.{part[2] or 0}") * _NANOSECONDS[part[3]]
        at = part.end()
    if not body or total >= _INT64:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * int(total)


def size(text: str) -> int:
    """Bytes of `64m`, `1.5GiB` or `4096`; units are powers of 1024. Raises ValueError."""
    match = _SIZE.match(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    number = Fraction(f"0{match[1]}" if match[1].startswith(".") else match[1].removesuffix("."))
    total = int(number * 1024 ** _EXPONENT[(match[2] or "").lower()])
    if total >= _INT64:
        raise ValueError(f"invalid size: '{text}'")
    return total
