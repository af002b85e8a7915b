"""Makes the schemas of the formats before the Compose Specification (2.0 to 2.4, 3.0 to 3.13) out of the latter's.

Nothing was ever taken out of either line, so `legacy.json` only says since when each attribute exists, and where its
type was narrower. An alternative that would be left without attributes is dropped: in 3.x `depends_on` is a list.
"""

from __future__ import annotations

import re
from typing import Any

Schema = dict[str, Any]
VERSIONS = (*(f"2.{minor}" for minor in range(5)), *(f"3.{minor}" for minor in range(14)))
_OLD: Schema = {
    "volume_driver": {"type": "string", "description": "Driver of the service's volumes."},
    "cgroupns_mode": {"type": "string", "description": "Cgroup namespace: host or private."},
}


def derive(version: str, spec: Schema, table: dict[str, Any]) -> Schema:
    """The schema of a version. Raises KeyError for one that never was."""
    if version not in VERSIONS:
        raise KeyError(version)
    major = version[0]
    allowed: set[str] = set()
    for since, paths in table["since"].items():
        first = next((each for each in since.split() if each[0] == major), "")
        if first and _minor(first) <= _minor(version):
            allowed.update(paths)
    types = {
        path: types[major] if isinstance(types, dict) else types
        for path, types in table["types"].items()
        if not isinstance(types, dict) or major in types
    }
    schema = _Pruner(spec.get("definitions", {}), allowed, types).node(spec, "")
    del schema["definitions"]
    schema["title"] = f"Compose file format {version}"
    schema["properties"]["version"] = {"type": "string", "description": "The version of the format."}
    if major == "3":
        schema["required"] = ["version"]
    return schema


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


class _Pruner:
    def __init__(self, definitions: Schema, allowed: set[str], types: dict[str, list[str]]) -> None:
        self.definitions = definitions
        self.allowed = allowed
        self.types = types

    def node(self, schema: Schema, path: str) -> Schema:
        """The part of a schema at a path that the version knows, without references."""
        while "$ref" in schema:
            described = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self.definitions[schema["$ref"].rpartition("/")[2]], **described}
        made = dict(schema)
        if "oneOf" in schema:
            parts = [self.node(each, path) for each in schema["oneOf"]]
            made["oneOf"] = [part for part in parts if not self._is_gone(part, path)]
        if "properties" in schema or path == "services.*":
            properties = {**schema["properties"], **(_OLD if path == "services.*" else {})}
            made["properties"] = self._known(properties, path)
            if "required" in schema:
                made["required"] = [name for name in schema["required"] if name in made["properties"]]
        if "patternProperties" in schema:
            made["patternProperties"] = self._patterns(schema["patternProperties"], path)
        if "items" in schema:
            made["items"] = self.node(schema["items"], f"{path}.[]")
        if path in self.types and "type" in made:
            made["type"] = _one_or_list(self.types[path])
        elif path in self.types and "oneOf" in made:
            made["oneOf"] = [narrow for each in made["oneOf"] if (narrow := _narrowed(each, self.types[path]))]
        return made

    def _known(self, properties: Schema, path: str) -> Schema:
        prefix = f"{path}." if path else ""
        return {
            name: self.node(below, f"{prefix}{name}")
            for name, below in properties.items()
            if f"{prefix}{name}" in self.allowed
        }

    def _patterns(self, patterns: Schema, path: str) -> Schema:
        prefix = f"{path}." if path else ""
        made: Schema = {}
        for pattern, below in patterns.items():
            part = "x-" if pattern == "^x-" else "*"
            if f"{prefix}{part}" in self.allowed:
                made[pattern] = self.node(below, f"{prefix}*") if below else below
        return made

    def _is_gone(self, part: Schema, path: str) -> bool:
        """Whether an alternative is an object of which the version knows nothing."""
        if part.get("type") == "null":
            return bool(re.search(r"\.(command|entrypoint)$", path))
        if part.get("type") != "object":
            return False
        return not part.get("properties") and not set(part.get("patternProperties", ())) - {"^x-"}


def _narrowed(alternative: Schema, types: list[str]) -> Schema | None:
    """The alternative with only these types, None if none is left."""
    own = alternative.get("type", [])
    kept = [name for name in ([own] if isinstance(own, str) else own) if name in types]
    return {**alternative, "type": _one_or_list(kept)} if kept else None


def _one_or_list(types: list[str]) -> str | list[str]:
    return types[0] if len(types) == 1 else types
