"""Substitutes variables in the values of a tree and casts the results by path.

Keys are never interpolated. The cast applies to every string at its path, interpolated or not: `cpus: "0.5"` is a
number from here on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compose.errors import InterpolationError, SchemaError
from compose.loader.template import InvalidTemplate, TemplateError, substitute
from compose.loader.tree import Map, Node, Path, Seq, Table, path_text
from compose.loader.units import DIGITS
from compose.model.formats import float32

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.environment import Environment
    from compose.loader.report import Report

    Cast = Callable[[str], Any]

_INT = re.compile(r"[-+]?[0-9]+$")
_FLOAT = re.compile(
    rf"[-+]?({DIGITS}(\.({DIGITS})?)?|\.{DIGITS})(e[-+]?{DIGITS})?$|[-+]?(inf|infinity|nan)$", re.IGNORECASE
)
_INFINITE = (float("inf"), float("-inf"))
_BOOL = {"true": True, "y": True, "yes": True, "on": True, "false": False, "n": False, "no": False, "off": False}


def to_int(text: str) -> int:
    """A decimal integer of 64 bits; raises ValueError with the message to show."""
    if not _INT.match(text):
        raise ValueError(f'invalid integer: "{text}"')
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f'integer out of range: "{text}"')
    return int(text)


def to_float(text: str) -> float:
    """A number; raises ValueError with the message to show."""
    if not _FLOAT.match(text) or (float(text) in _INFINITE and text[-1].isdigit()):
        raise ValueError(f'invalid number: "{text[:40]}"')
    return float(text)


def to_float32(text: str) -> float:
    """A number of single precision; raises ValueError with the message to show."""
    return float32(to_float(text))


def to_bool(text: str) -> bool:
    """A boolean in any of YAML's spellings; raises ValueError with the message to show."""
    value = _BOOL.get(text.lower())
    if value is None:
        raise ValueError(f"invalid boolean: {text}")
    return value


_FORMS = "${NAME}, ${NAME:-default}, ${NAME:?error} or ${NAME:+other}; a NAME starts with a letter or underscore"
_EXPECTED: dict[Callable[[str], Any], str] = {
    to_int: "a whole number",
    to_float: "a number",
    to_float32: "a number",
    to_bool: "true or false",
}

CASTS: Table[Cast] = Table(
    {
        **{
            f"services.*.{name}": to_int
            for name in (
                "cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares",
                "deploy.replicas", "deploy.update_config.parallelism", "deploy.rollback_config.parallelism",
                "deploy.restart_policy.max_attempts", "deploy.placement.max_replicas_per_node", "healthcheck.retries",
                "oom_score_adj", "pids_limit", "ports.[].target", "scale", "ulimits.*", "ulimits.*.hard",
                "ulimits.*.soft",
            )
        },
        **{
            f"services.*.{name}": to_float
            for name in (
                "cpu_percent", "deploy.update_config.max_failure_ratio", "deploy.rollback_config.max_failure_ratio",
            )
        },
        "services.*.cpus": to_float32,
        **{
            f"services.*.{name}": to_bool
            for name in (
                "init", "healthcheck.disable", "oom_kill_disable", "privileged", "read_only", "stdin_open", "tty",
                "volumes.[].read_only", "volumes.[].volume.nocopy",
            )
        },
        **{
            f"networks.*.{name}": to_bool
            for name in ("external", "internal", "attachable", "enable_ipv4", "enable_ipv6")
        },
        "volumes.*.external": to_bool,
        "secrets.*.external": to_bool,
        "configs.*.external": to_bool,
    }
)  # fmt: skip


def interpolate(tree: Map, environment: Environment, report: Report) -> None:
    """Substitute and cast in place; what cannot be is reported and taken out."""
    _Walk(environment, report).mapping(tree, (), CASTS.root)


def text_of(text: str, environment: Environment, path: str, mark: SourceMark | None, report: Report) -> str:
    """One string interpolated, as `name:` needs it before the rest."""
    walk = _Walk(environment, report)
    value = walk.value(text, (path,), None, mark)
    return value if isinstance(value, str) else ""


class _Failed:
    """Stands for a value that could not be had."""


_FAILED = _Failed()


class _Walk:
    def __init__(self, environment: Environment, report: Report) -> None:
        self.environment = environment
        self.report = report

    def mapping(self, tree: Map, path: Path, node: Node[Cast] | None) -> None:
        for key, item in list(tree.items()):
            below = node.step(key) if node is not None else None
            if isinstance(item, Map):
                self.mapping(item, (*path, key), below)
            elif isinstance(item, Seq):
                self.sequence(item, (*path, key), below)
            elif isinstance(item, str) and (below is not None or "$" in item):
                value = self.value(item, (*path, key), below, tree.mark_of(key))
                if value is _FAILED:
                    del tree[key]
                else:
                    tree[key] = value

    def sequence(self, tree: Seq, path: Path, node: Node[Cast] | None) -> None:
        below = node.step("[]") if node is not None else None
        failed: list[int] = []
        for index, item in enumerate(tree):
            if isinstance(item, Map):
                self.mapping(item, (*path, index), below)
            elif isinstance(item, Seq):
                self.sequence(item, (*path, index), below)
            elif isinstance(item, str) and (below is not None or "$" in item):
                value = self.value(item, (*path, index), below, tree.marks[index])
                if value is _FAILED:
                    failed.append(index)
                else:
                    tree[index] = value
        for index in reversed(failed):
            del tree[index], tree.marks[index]

    def value(self, text: str, path: Path, node: Node[Cast] | None, mark: SourceMark | None) -> Any:
        result = text
        if "$" in text:

            def unset(name: str) -> None:
                self.environment.unset(name, mark)

            try:
                result = substitute(text, self.environment.lookup, unset)
            except InvalidTemplate as error:
                message = (
                    f"invalid interpolation format for {path_text(path)}."
                    f" You may need to escape any $ with another $. {error.message}"
                )
                place = mark._replace(column=mark.column + error.offset) if mark is not None and not path else mark
                self.report.add(InterpolationError, message, path, place, expected=_FORMS)
                return _FAILED
            except TemplateError as error:
                self.report.add(
                    InterpolationError, f"error while interpolating {path_text(path)}: {error.message}", path, mark
                )
                return _FAILED
            if mark is not None and result != text:
                self.report.interpolated.add(mark)
        cast = node.value if node is not None else None
        if cast is None:
            return result
        try:
            return cast(result)
        except ValueError as error:
            self.report.add(
                SchemaError, f"failed to cast to expected type: {error}", path, mark, expected=_EXPECTED[cast]
            )
            return _FAILED
