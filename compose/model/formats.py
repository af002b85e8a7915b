"""Texts of numbers and durations as the reference, a Go program, writes them."""

from __future__ import annotations

import struct


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
