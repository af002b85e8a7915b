"""JSON schemas of what we read; they serve editors too, so every attribute is described."""

from __future__ import annotations

import functools
import json
import os
from typing import Any

DIRECTORY = os.path.dirname(__file__)


@functools.cache
def load(name: str) -> dict[str, Any]:
    """The schema called `name` (`compose-spec`). Do not change it. Raises FileNotFoundError."""
    with open(os.path.join(DIRECTORY, f"{name}.json"), encoding="utf-8") as file:
        schema: dict[str, Any] = json.load(file)
    return schema
