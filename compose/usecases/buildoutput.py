"""Where the result of an `image build` goes: read `--output` and its short forms, write what is told of the result.

An exporter of BuildKit's that needs no store of ours is an output of the builder; the others are names and a push.
"""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any, Final

from compose.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_FIELDS: Final = {
    "local": {"dest"},
    "tar": {"dest"},
    "docker": {"dest", "name", "tar"},
    "oci": {"dest", "name", "tar"},
    "image": {"name", "push"},
    "registry": {"name"},
}
"""By type: the fields that it has beside `type`."""
_STDOUT: Final = ("", "-")


def outputs(given: Iterable[str], cwd: str, *, push: bool = False, load: bool = False) -> dict[str, Any]:
    """`--output DIRECTORY|type=..,dest=..,name=..,push=..`, `--push`, `--load` as arguments of a BuildImage.

    `Outputs`, `Push`, and `Tags` that are given besides `--tag`. A `Dest` of `-` is standard output. Raises UsageError.
    """
    found: list[dict[str, str]] = []
    tags: list[str] = []
    for item in given:
        said = _said(item)
        kind = said.get("type", "")
        if kind not in _FIELDS:
            raise UsageError(f'exporter "{kind}" could not be found: there are {", ".join(sorted(_FIELDS))}')
        for name in said.keys() - _FIELDS[kind] - {"type"}:
            raise UsageError(f"output {item!r}: {name} is no field of type {kind}")
        tags += filter(None, said.get("name", "").split(","))
        push |= kind == "registry" or _flag(said, "push", default=False)
        dest = said.get("dest", "")
        if kind in ("image", "registry") or (kind == "docker" and not dest):
            found.append({"Type": "image"})
            continue
        as_directory = not _flag(said, "tar", default=True)
        if not dest and (kind == "local" or as_directory):
            raise UsageError(f"dest is required for {kind} exporter")
        if as_directory and kind == "docker":
            raise UsageError(f"output {item!r}: docker has no form without tar; oci has")
        place = dest if dest in _STDOUT else os.path.join(cwd, dest)
        found.append({"Type": "layout" if as_directory else kind, "Dest": place})
    if sum(output.get("Dest") in _STDOUT for output in found) > 1:
        raise UsageError("only one output can go to standard output")
    if found and (push or load):
        found.append({"Type": "image"})
    return {"Outputs": found, "Push": push, "Tags": tags}


def metadata(result: Mapping[str, Any], tags: Iterable[str]) -> dict[str, Any]:
    """What `--metadata-file` holds of a result, in buildx's words; nothing of a build that made only files."""
    if not result:
        return {}
    said = {
        "containerimage.config.digest": result["Id"],
        "containerimage.descriptor": result["Descriptor"],
        "containerimage.digest": result["Descriptor"]["digest"],
    }
    names = ",".join(map(_full, tags))
    return said | ({"image.name": names} if names else {})


def write_metadata(path: str, content: Mapping[str, Any]) -> None:
    """Write a metadata file as buildx does; raises OSError."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True))


def fields(text: str, known: Collection[str]) -> dict[str, str]:
    """`key=value,"key=with, comma"`; raises UsageError for what is not `known`."""
    found = {}
    for item in _split(text):
        name, equals, value = item.partition("=")
        name = name.strip().lower()
        if not equals or name not in known:
            raise UsageError(f"invalid field '{item}': expected one of {', '.join(sorted(known))}, as key=value")
        found[name] = value
    return found


def _full(name: str) -> str:
    """A name with its registry."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _said(item: str) -> dict[str, str]:
    if item == "-":
        return {"type": "tar", "dest": "-"}
    if "=" not in item:
        return {"type": "local", "dest": item}
    return fields(item, {"type", *(name for names in _FIELDS.values() for name in names)})


def _split(text: str) -> list[str]:
    """Fields of one line of CSV, as Docker's command lines are; raises UsageError."""
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise UsageError(f"invalid value {text!r}: {error}") from None


def _flag(said: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = said.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise UsageError(f"non-bool value specified for {name}: {text}")
    return text in ("true", "1")
