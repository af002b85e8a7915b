"""JSON schemas of what we read and write; they serve editors too, so every attribute is described."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

DIRECTORY = os.path.dirname(__file__)


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The schema called `name`: `compose-spec`, or a legacy version of the format such as `3.8`. Do not change it.

    Raises KeyError if there is none.
    """
    if name == "compose-spec":
        return _read(name)
    from schemas.legacy import derive

    return derive(name, load("compose-spec"), _read("legacy"))


def _read(name: str) -> dict[str, Any]:
    with open(os.path.join(DIRECTORY, f"{name}.json"), encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
    return content
