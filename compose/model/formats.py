"""Texts of numbers and durations as the reference, a Go program, writes them."""

from __future__ import annotations

import re
import struct

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:[Tt](\d\d?):(\d\d?):(\d\d?)(\.\d+)?(Z|[-+]\d\d:\d\d)|[ ](\d\d?):(\d\d?):(\d\d?)(\.\d+)?)?",
    re.ASCII,
)
JSON_EXPONENT_FROM = 1e21
JSON_EXPONENT_BELOW = 1e-6
YAML_EXPONENT_FROM = 1e6


class Timestamp(str):
    """A date or time that YAML recognised, in RFC 3339; only extensions may hold one.

    `written` is how it stands in the file.
    """

    __slots__ = ("__dict__",)
    written: str


def timestamp(text: str) -> Timestamp | None:
    """The date or time a plain scalar stands for, None if it is a text: with `T` it needs a zone, with a space none."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, *clock = match.groups()
    hour, minute, second, fraction, zone = clock[:5] if clock[0] else (*clock[5:], "Z")
    from calendar import monthrange

    at = [int(part or 0) for part in (year, month, day, hour, minute, second)]
    offset = (0, 0) if zone == "Z" else (int(zone[1:3]), int(zone[4:]))
    if not 1 <= at[1] <= 12 or not 1 <= at[2] <= monthrange(at[0] or 400, at[1])[1]:
        return None
    if any(part > most for part, most in zip((*at[3:], *offset), (23, 59, 59, 24, 59), strict=True)):
        return None
    decimals = (fraction or "")[:10].rstrip("0").rstrip(".")
    found = Timestamp(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*at) + decimals + ("Z" if offset == (0, 0) else zone)
    )
    found.written = text
    return found


def format_duration(nanoseconds: int) -> str:
    """The text Go gives a duration: `1h0m0s`, `1.5s`, `100ms`, `0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, value = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if value < 10**9:
        unit, size = ("ns", 1) if value < 10**3 else ("µs", 10**3) if value < 10**6 else ("ms", 10**6)
        return f"{sign}{_decimal(value, size)}{unit}"
    minutes, rest = divmod(value, 60 * 10**9)
    seconds = f"{_decimal(rest, 10**9)}s"
    if not minutes:
        return f"{sign}{seconds}"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes}m{seconds}" if hours else f"{sign}{minutes}m{seconds}"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    if not rest:
        return str(whole)
    width = len(str(size)) - 1
    return f"{whole}.{rest:0{width}d}".rstrip("0")


def go_float(value: float) -> str:
    """The shortest text of a float in Go's `%v`: with an exponent below 1e-4 and from 1e6 on."""
    if value != value:  # noqa: PLR0124  (not a number)
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if str(value).startswith("-") else "0"
    digits, _, exponent = f"{value:e}".partition("e")
    for precision in range(17):
        digits, _, exponent = f"{value:.{precision}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    power = int(exponent)
    if -5 < power < 6:
        decimals = max(len(digits.lstrip("-").replace(".", "")) - 1 - power, 0)
        return f"{value:.{decimals}f}"
    return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"


def json_float(value: float) -> str:
    """A float as Go writes it to JSON: an exponent only below 1e-6 and from 1e21 on; ValueError for no number."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  (not a number)
        raise ValueError(f"json: unsupported value: {go_float(value)}")
    if value and not JSON_EXPONENT_BELOW <= abs(value) < JSON_EXPONENT_FROM:
        mantissa, _, exponent = go_float(value).partition("e")
        return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits.removesuffix(".0")
    from decimal import Decimal

    return f"{Decimal(repr(value)):f}"


def float32(value: float) -> float:
    """The nearest number of single precision, given back as the shortest decimal that names it."""
    try:
        packed = struct.pack("f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    single = struct.unpack("f", packed)[0]
    for digits in range(1, 10):
        short = float(f"{single:.{digits}g}")
        if struct.pack("f", short) == packed:
            return short
    return value
