"""Write data as the YAML that Compose's Go library writes: same indentation, same quotes, same order of keys.

Which texts may stand without quotes is decided by PyYAML's emitter, a port of the same C library; which ones would be
read as something else than text is decided here, by the rules of Go's yaml.v3.
"""

from __future__ import annotations

import math
import re
from functools import cmp_to_key
from typing import Any

import yaml

from compose.model.formats import Timestamp, timestamp

TEXT_TAG = "tag:yaml.org,2002:str"
NEVER_FOLD = 1 << 30
EXPONENT_FROM = 6
MAX_SIMPLE_KEY = 100
"""Bytes; a little less than either emitter takes."""
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = frozenset(
    word
    for base in ("true", "false", "y", "n", "yes", "no", "on", "off")
    for word in (base, base.capitalize(), base.upper())
)
SPECIAL_FLOATS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
BASED = re.compile(r"([-+]?)0(b[01_]+|o?[0-7_]+|x[0-9a-fA-F_]+)")
SEPARATED = re.compile(r"[-+]?\d[\d_]*")
BASE_60 = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?")
BASES = {"b": 2, "o": 8, "x": 16}
PLAIN = re.compile(r"""(?!\.\.\.|---)(?:[A-Za-z0-9_./$+\\(]|-(?=[!-~]))(?:[!-9;-~]|:(?=[!-~])|[ ](?=[!"$-9;-~]))*""")
"""Texts that no emitter quotes unless they read as something else; asking PyYAML's emitter takes 100 times as long."""


class _Dumper(yaml.Dumper):
    """Lists are indented below their key; nothing is guessed about plain text, nothing folded."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - a class attribute of PyYAML

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def analyze_scalar(self, scalar: str) -> Any:
        """The C library's analysis, but Go's has nothing against tabs in blocks and knows no character past U+FFFF."""
        analysis = super().analyze_scalar(scalar.replace("\t", "_"))
        analysis.scalar = scalar
        if "\t" in scalar:
            analysis.allow_flow_plain = analysis.allow_block_plain = analysis.allow_single_quoted = False
        if scalar and max(scalar) > "\uffff":
            analysis.allow_flow_plain = analysis.allow_block_plain = False
            analysis.allow_single_quoted = analysis.allow_block = False
        return analysis

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(data: Any, *, sort: bool = False) -> str:
    """The data as a YAML document. Keys of objects stay in their order; maps, and with `sort` everything, in Go's."""
    lines: list[str] = []
    _write(_ordered(data, sort=sort), 0, "", lines)
    return "\n".join(lines) + "\n"


def _write(data: Any, indent: int, lead: str, lines: list[str]) -> None:
    """Write a value at an indentation; `lead` stands before its first line."""
    below = " " * indent
    if isinstance(data, dict) and data:
        for key, value in data.items():
            _entry(lead, _key(key, indent), value, indent, lines)
            lead = below
    elif isinstance(data, (list, tuple)) and data:
        for item in data:
            if isinstance(item, (dict, list, tuple)) and item:
                _write(item, indent + 2, f"{lead}- ", lines)
            else:
                lines.append(f"{lead}- {_leaf(item, indent)}")
            lead = below
    else:
        lines.append(f"{lead}{_leaf(data, indent)}")


def _entry(lead: str, key: str, value: Any, indent: int, lines: list[str]) -> None:
    if not isinstance(value, (dict, list, tuple)) or not value:
        lines.append(f"{lead}{key} {_leaf(value, indent)}")
    elif key.startswith("? "):  # no simple key: its colon stands on a line of its own, the value behind it
        _write(value, indent + 2, f"{lead}{key} ", lines)
    else:
        lines.append(f"{lead}{key}")
        _write(value, indent + 2, " " * (indent + 2), lines)


def _leaf(value: Any, indent: int) -> str:
    if isinstance(value, (dict, list, tuple)):
        return "{}" if isinstance(value, dict) else "[]"
    if not isinstance(value, str) or isinstance(value, Timestamp):
        return _bare(value)
    if PLAIN.fullmatch(value):
        return value if reads_as_text(value) else f'"{value}"'
    return _emitted("a", value, indent).removeprefix("a: ")


def _key(key: Any, indent: int) -> str:
    """A key with its colon."""
    if not isinstance(key, str):
        return f"{_bare(key)}:"
    if not key:
        return '"":'
    if len(key) <= MAX_SIMPLE_KEY and PLAIN.fullmatch(key):
        return f"{key}:" if reads_as_text(key) else f'"{key}":'
    return _emitted(key, 0, indent).removesuffix(" 0")


def _emitted(key: str, value: Any, indent: int) -> str:
    """An entry of a mapping as PyYAML writes it at an indentation, without the spaces before it."""
    data: Any = {key: value}
    for _ in range(indent // 2):
        data = {"a": data}
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        indent=2,
        width=NEVER_FOLD,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
    )
    for _ in range(indent // 2):
        text = text.partition("\n")[2]
    # a text that ends in line breaks leaves the document open, which PyYAML marks
    return (text[indent:-4] if text.endswith("\n...\n") else text[indent:]).removesuffix("\n")


def compare_keys(one: str, other: str) -> int:
    """Go's order of map keys: digits by value, letters after everything else."""
    digits = False
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a == b:
            digits = a.isdigit()
            continue
        if a.isalpha() and b.isalpha():
            return -1 if a < b else 1
        if a.isalpha() or b.isalpha():
            return -1 if (a.isalpha() if digits else b.isalpha()) else 1
        # a zero behind other digits of the same number is one of its digits, not a leading one
        inside = "0" in (a, b) and bool(_digits_before(one, at).lstrip("0"))
        ours, theirs = _digits_from(one, at), _digits_from(other, at)
        ranks = [(int(f"{int(inside)}{text}"), len(text), first) for text, first in ((ours, a), (theirs, b))]
        return -1 if ranks[0] < ranks[1] else 1
    return len(one) - len(other)


def _digits_before(text: str, at: int) -> str:
    return text[len(text[:at].rstrip("0123456789")) : at]


def _digits_from(text: str, at: int) -> str:
    rest = text[at:]
    return rest[: len(rest) - len(rest.lstrip("0123456789"))]


def _ordered(data: Any, *, sort: bool, level: int = 0) -> Any:
    """Maps cannot be told from objects any more, but came in alphabetical order; extensions are maps throughout.

    On level 1 stand the names of services and such: `x-web` is one too.
    """
    if isinstance(data, (list, tuple)):
        return [_ordered(item, sort=sort, level=level + 1) for item in data]
    if not isinstance(data, dict):
        return data
    keys = list(data)
    if sort or keys == sorted(keys, key=str):
        keys.sort(key=_GO_ORDER)
    elif any(str(key).startswith("x-") for key in keys):
        # of an object: its extensions are a map, and stand behind its fields
        extensions = sorted((key for key in keys if str(key).startswith("x-")), key=_GO_ORDER)
        keys = [key for key in keys if key not in extensions] + extensions
    return {
        key: _ordered(data[key], sort=sort or (level != 1 and str(key).startswith("x-")), level=level + 1)
        for key in keys
    }


_GO_ORDER = cmp_to_key(lambda a, b: compare_keys(str(a), str(b)))


def reads_as_text(text: str) -> bool:
    """Whether the text, without quotes, is read as text and not as a number, a boolean, a time or nothing."""
    if text in NULLS or text in BOOLEANS or SPECIAL_FLOATS.fullmatch(text):
        return False
    if text[0] not in "+-.0123456789":
        return True
    if NUMBER.fullmatch(text):
        return math.isinf(float(text))
    based = BASED.fullmatch(text)
    if based is not None:
        return _is_too_big(based)
    return not (SEPARATED.fullmatch(text) or BASE_60.fullmatch(text) or timestamp(text) is not None)


def _is_too_big(based: re.Match[str]) -> bool:
    """Whether a number with a prefix exceeds 64 bits, so that it is read as text."""
    sign, digits = based.groups()
    digits = digits.replace("_", "")
    base = BASES.get(digits[:1], 8)
    value = int(digits.lstrip("box") or "0", base)
    return value >= (2**64 if sign != "-" else 2**63 + 1)


def _text(dumper: yaml.Dumper, text: str) -> yaml.Node:
    if "\n" in text:
        style = "|"
    elif reads_as_text(text):
        style = ""
    else:
        style = '"'
    return dumper.represent_scalar(TEXT_TAG, text, style=style)


def _bare(value: object) -> str:
    """A value that is no text, and so never quoted."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return go_float(value) if isinstance(value, float) else str(value)


def go_float(value: float) -> str:
    """The shortest text that reads back as the number, with an exponent from a million on (Go's %g)."""
    if math.isinf(value) or math.isnan(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, _, exponent = f"{value:e}".partition("e")
    if value and not -4 <= int(exponent) < EXPONENT_FROM:
        mantissa, _, exponent = _scientific(value).partition("e")
        return f"{mantissa}e{int(exponent):+03d}"
    return repr(value).removesuffix(".0")


def _scientific(value: float) -> str:
    """As few digits as tell the number apart."""
    return next(text for digits in range(17) if float(text := f"{value:.{digits}e}") == value)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(int, lambda dumper, value: dumper.represent_scalar(TEXT_TAG, str(value)))
