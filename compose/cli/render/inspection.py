"""Print objects as Docker's `inspect` commands do: an indented list, compact JSON, or a template for each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from compose.cli.render import gotemplate
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAD_TEMPLATE = 64
"""Docker's exit code for a template that cannot be read."""


def inspection(format: str) -> Callable[[Sequence[dict[str, Any]]], str]:
    """What prints the objects in `format` (empty: indented). Raises ComposeError for a template that is none."""
    if format in ("", "json"):
        return _as_json if format else _indented
    try:
        template = gotemplate.parse(format)
    except UsageError as error:
        raise ComposeError(error.message, exit_code=BAD_TEMPLATE) from error

    def by_template(objects: Sequence[dict[str, Any]]) -> str:
        # Docker ends with a line end also where there is nothing to print
        return "".join(f"{gotemplate.render(template, each, {})}\n" for each in objects) or "\n"

    return by_template


def _as_json(objects: Sequence[dict[str, Any]]) -> str:
    return gotemplate.to_json(list(objects)) + "\n"


def _indented(objects: Sequence[dict[str, Any]]) -> str:
    return json.dumps(list(objects), indent=4, ensure_ascii=False) + "\n"
