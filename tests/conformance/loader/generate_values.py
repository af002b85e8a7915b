"""Files with one odd value each, at any place of the schema: accepted by both programs and alike, or refused by both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import schemas
from tests.kit.peer_compose import Case

if TYPE_CHECKING:
    from random import Random

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1.5, 1.0, 1e3, 65536, 10**20, -0.5, "", " ", "0", "1", "-1", "1.5", "true", "no", "x", "a b",
    "a:b", "a=b", "a:b:c", "/a", "./a", "~/a", "a/b", "10m", "1gb", "5s", "1m30s", "5x", "-5s", "1.2.3.4", "::1", "80", "80:80",
    "80/udp", "1-3", "service:t", "container:t", "host", "none", "all", "a,b", "0755", "0o755", "${V}", "${U}", "${U:-1}", "$$V",
    "a\nb", "é", "a@b", "*", "{}", "[]", "null", "2020-01-01", "a" * 70, [], {}, [""], [None], ["a"], ["a", "a"], ["a=b"], ["a=b", "a=c"],
    ["a:b"], [1], [1.5], [True], [["a"]], [{}], [{"a": "b"}], {"a": None}, {"a": "b"}, {"a": 1}, {"a": True}, {"a": []}, {"a": {}},
    {"": "x"}, {"x-a": 1}, {"a": 1.0}, {"a": "1.0"}, ["80:80", "81"], ["/a:/b", "/c"], ["t"], {"t": None}, {"t": {}},
    ["a=1", "b"], ["a: b"], ["h:1.2.3.4"], ["h=::1"], {"h": "1.2.3.4"}, {"h": ["1.2.3.4"]}, ["CMD", "x"], ["NONE"],
)  # fmt: skip
BASE: dict[str, Any] = {
    "services": {"s": {"image": "x"}, "t": {"image": "y", "build": "."}},
    "networks": {"t": None},
    "volumes": {"t": None},
    "secrets": {"t": {"file": "f"}},
    "configs": {"t": {"file": "f"}},
    "models": {"t": {"model": "m"}},
}


def case(random: Random) -> Case:
    """A project with an odd value; sometimes a second file lays another over it."""
    document = json.loads(json.dumps(BASE))
    path = _path(
        random,
        random.choice(("services", "services", "services", "networks", "volumes", "secrets", "configs", "models")),
    )
    _put(document, path, random.choice(VALUES))
    files = {"compose.yaml": json.dumps(document, ensure_ascii=False)}
    if random.random() < 0.25:
        over: dict[str, Any] = {}
        _put(over, path, random.choice(VALUES))
        files["compose.override.yaml"] = json.dumps(over, ensure_ascii=False)
    return Case(files, [], {"V": "val"})


def _path(random: Random, kind: str) -> list[Any]:
    schema = schemas.load("compose-spec")
    definitions = schema["definitions"]
    node = schema["properties"][kind]
    path: list[Any] = [kind, "s" if kind == "services" else "t"]
    node = _follow(next(iter(node["patternProperties"].values())), definitions, random)
    while True:
        properties = {
            key: value
            for key, value in node.get("properties", {}).items()
            if not key.startswith(("pre_start", "no_cache_filter"))
        }
        if properties:
            name = random.choice(sorted(properties))
            path.append(name)
            node = _follow(properties[name], definitions, random)
        elif node.get("patternProperties") and any(value for value in node["patternProperties"].values()):
            path.append("t")
            node = _follow(next(value for value in node["patternProperties"].values()), definitions, random)
        elif "items" in node:
            path.append(0)
            node = _follow(node["items"], definitions, random)
        else:
            return path
        if random.random() < 0.5:
            return path


def _follow(node: dict[str, Any], definitions: dict[str, Any], random: Random) -> dict[str, Any]:
    while True:
        if "$ref" in node:
            node = definitions[node["$ref"].rpartition("/")[2]]
        elif "oneOf" in node:
            node = random.choice(node["oneOf"])
        else:
            return node


def _put(tree: Any, path: list[Any], value: Any) -> None:
    for part, below in zip(path, path[1:], strict=False):
        empty: Any = [] if below == 0 else {}
        if part == 0:
            tree.append(empty)
            tree = empty
        else:
            if not isinstance(tree.get(part), type(empty)):
                tree[part] = empty
            tree = tree[part]
    if path[-1] == 0:
        tree.append(value)
    else:
        tree[path[-1]] = value
