"""Lists the variables a project's files mention, as `config --variables` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.loader.pipeline import model_tree
from compose.loader.template import Variable
from compose.loader.template import variables as in_text

if TYPE_CHECKING:
    from compose.loader.options import LoadOptions


def variables(options: LoadOptions) -> dict[str, Variable]:
    """Name to what the files say of the variable; the last mention that says something counts. Raises LoadError."""
    found: dict[str, Variable] = {}
    _collect(model_tree(options.replace(interpolate=False)), found)
    return dict(sorted(found.items()))


def _collect(value: Any, found: dict[str, Variable]) -> None:
    if isinstance(value, str):
        here = {variable.name: variable for variable in in_text(value)} if "$" in value else {}
        for name, variable in here.items():
            if name not in found or any(variable[1:]):
                found[name] = variable
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
