"""Types plain YAML scalars as Docker Compose does, and formats numbers as it prints them.

Its YAML library is "1.2-like": `yes`, `on` and `22:22` stay strings, `010` and `0o10` are 8, `1_000` is 1000. Numbers
land in maps of strings (environment, labels), so their text matters: `1.0` becomes "1", `1e3` becomes "1000".
"""

from __future__ import annotations

import re
from typing import Any

from compose.model.formats import Timestamp, go_float, timestamp

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_START = frozenset("0123456789+-.")
_KINDS: dict[str, type | tuple[type, ...]] = {
    "null": type(None),
    "bool": bool,
    "int": int,
    "float": float,
    "timestamp": Timestamp,
}
"""A bool is an int to Python, so it comes first."""
INT64 = range(-(2**63), 2**63)


def resolve(text: str) -> Any:
    """The value of a plain scalar without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _START:
        return text
    if text[4:5] == "-" and (date := timestamp(text)) is not None:
        return date
    digits = text.replace("_", "") if "_" in text else text
    if _INT.match(digits):
        return _integer(digits, text)
    if _FLOAT.match(digits):
        return _finite(digits, text)
    return text


def _finite(digits: str, text: str) -> float | str:
    """The number, or the text if it is beyond what a float holds."""
    number = float(digits)
    return text if number in (float("inf"), float("-inf")) else number


def _integer(digits: str, text: str) -> int | float | str:
    sign = -1 if digits[0] == "-" else 1
    body = digits.lstrip("+-")
    prefixed = body[:2].lower() in ("0x", "0b", "0o")
    if len(body) > 300:  # int() of thousands of digits raises in Python
        return text if prefixed else _finite(digits, text)
    octal = not prefixed and len(body) > 1 and body[0] == "0"
    number = sign * int(body, 8 if octal else 0)
    if number in INT64 or 0 <= number < 2**64:
        return number
    return text if prefixed else _finite(digits, text)


def tagged(tag: str, text: str) -> Any:
    """The value of a scalar with one of YAML's own tags (`!!str` and so on); other tags leave the text.

    Raises ValueError if the text is nothing of the kind.
    """
    name = tag.removeprefix("tag:yaml.org,2002:")
    if name == "binary":
        return base64_text(text)
    if name not in _KINDS or not tag.startswith("tag:"):
        return text
    value = resolve(text)
    kind = next((kind for kind, types in _KINDS.items() if isinstance(value, types)), "str")
    if kind == "int" and name == "float":
        return float(value)
    if kind != name:
        raise ValueError(f"cannot decode !!{kind} `{text[:40]}` as a !!{name}")
    return value


def base64_text(text: str) -> str:
    """What a `!!binary` holds; raises ValueError if it is no base64."""
    import base64

    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
    except ValueError:
        raise ValueError("!!binary value contains invalid base64 data") from None


def sprint(value: Any) -> str:
    """A scalar as the reference prints it into a string (Go's `%v`)."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{sprint(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(sprint, value)) + "]"
    return str(value)
