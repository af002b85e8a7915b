"""One file per image: what names it, what it is made of. Unreadable ones are set aside by name, the rest goes on.

The configuration itself is a blob; a record only points at it, and the image's id is that blob's digest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError
from runtime.images import hostlayer
from runtime.images.manifest import check_config
from runtime.images.reference import check_digest, parse
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.images.content import ContentStore

VERSION: Final = 1
QUARANTINE: Final = ".corrupt"
HELD: Final = ".held"
"""Ending of the record of an image that was removed while a stopped container still needs it."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as the engine and its clients see it."""

    id: str
    """`sha256:...`, the digest of the configuration (Docker's image id)."""
    references: tuple[str, ...]
    """Complete references, `docker.io/library/busybox:latest`."""
    document: dict[str, Any] = field(hash=False)
    """The whole image configuration document."""
    manifest_digest: str = ""
    created: str = ""
    """RFC 3339."""
    size: int = 0
    """Bytes of file content over all layers."""
    layers: tuple[str, ...] = ()
    """Chain ids of the unpacked layers, bottom first, 64 hexadecimal digits each."""
    on_host: bool = False
    """Whether the host's own programs lie below `layers` (see hostlayer)."""
    tagged_at: str = ""
    indexes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By reference: the digest of the index of several platforms that the name stands for; of most names there is none."""

    @property
    def config(self) -> dict[str, Any]:
        """Env, Cmd, Entrypoint, Volumes, Labels and so on: what containers take over."""
        return dict(self.document.get("config") or {})

    @property
    def architecture(self) -> str:
        return str(self.document.get("architecture", ""))

    @property
    def os(self) -> str:
        return str(self.document.get("os", "linux"))

    @property
    def repo_tags(self) -> list[str]:
        """References as users write them, `busybox:latest`."""
        return [parse(reference).familiar for reference in self.references if "@" not in reference]

    @property
    def repo_digests(self) -> list[str]:
        """Names by digest, which an image has from the registry it came from."""
        return [parse(reference).familiar for reference in self.references if "@" in reference]


def host_image() -> Image:
    """The built-in image; it has no record."""
    document = hostlayer.document()
    return Image(
        id=hostlayer.image_id(),
        references=(hostlayer.REFERENCE,),
        document=document,
        created=document["created"],
        on_host=True,
    )


def to_record(image: Image, tags: dict[str, str]) -> dict[str, Any]:
    """The JSON form of `image`; `tags` gives for each reference the time it was set."""
    record = {
        "version": VERSION,
        "id": image.id,
        "manifest": image.manifest_digest,
        "references": tags,
        "layers": list(image.layers),
        "base": hostlayer.LAYER if image.on_host else "",
        "size": image.size,
        "created": image.created,
    }
    indexes = {name: digest for name, digest in image.indexes.items() if name in tags}
    return record | ({"indexes": indexes} if indexes else {})


def from_record(record: Any, content: ContentStore, name: str) -> tuple[Image, dict[str, str]]:
    """The image and its tags; raises ValueError, KeyError, TypeError or EngineError for a record that is no good.

    `name`: the hexadecimal id in the record's file name.
    """
    if record["version"] != VERSION:
        raise ValueError(f"version {record['version']}")
    if record["id"] != f"sha256:{name}":
        raise ValueError(f"is the record of image {record['id']}")
    tags = {str(parse(name)): str(at) for name, at in record["references"].items()}
    layers = tuple(_chain_id(layer) for layer in record["layers"])
    document = content.read_json(record["id"], f"image {record['id']}")
    check_config(document, f"image {record['id']}", len(layers))
    image = Image(
        id=record["id"],
        references=tuple(sorted(tags)),
        document=document,
        manifest_digest=str(record["manifest"]),
        created=str(record["created"]),
        size=int(record["size"]),
        layers=layers,
        on_host=record["base"] == hostlayer.LAYER,
        tagged_at=max(tags.values(), default=""),
        indexes={str(parse(name)): check_digest(digest) for name, digest in record.get("indexes", {}).items()},
    )
    return image, tags


class Records:
    """The directory of records, read again only where a file has changed."""

    def __init__(self, directory: str, content: ContentStore) -> None:
        self.directory = directory
        self._content = content
        self._cache: dict[str, tuple[tuple[int, int, int], Image, dict[str, str]]] = {}
        self.problems: dict[str, str] = {}
        """File name to reason, for records that were set aside."""

    def read(self) -> list[tuple[Image, dict[str, str]]]:
        """All good records; one that is not is renamed to *.corrupt and named in `problems`."""
        found = {}
        try:
            entries = list(os.scandir(self.directory))
        except FileNotFoundError:
            return []
        for entry in entries:
            if not entry.name.endswith(".json") or entry.name.startswith(atomicfile.PREFIX):
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            key = (status.st_mtime_ns, status.st_ino, status.st_size)
            cached = self._cache.get(entry.name)
            if cached is None or cached[0] != key:
                cached = self._load(entry.name, key)
            if cached is not None:
                found[entry.name] = cached
        self._cache = found
        return [(image, tags) for _, image, tags in found.values()]

    def damaged(self) -> bool:
        """Whether records that were set aside, now or in an earlier life, still lie there."""
        return any(name.endswith(QUARANTINE) for name in os.listdir(self.directory))

    def write(self, image: Image, tags: dict[str, str]) -> None:
        """Write one record durably; raises OSError."""
        atomicfile.write_json(self._path(image.id), to_record(image, tags))

    def delete(self, image_id: str) -> None:
        """Remove one record durably; a missing one is fine."""
        try:
            os.unlink(self._path(image_id))
        except FileNotFoundError:
            return
        atomicfile.sync_directory(self.directory)

    def hold(self, image_id: str) -> None:
        """Take a record out of the list without deleting it, durably; raises OSError."""
        path = self._path(image_id)
        os.replace(path, path.removesuffix(".json") + HELD)
        atomicfile.sync_directory(self.directory)

    def held(self, image_id: str) -> Image | None:
        """The image of a record that is held; None if there is none or it cannot be read."""
        name = image_id.removeprefix("sha256:")
        try:
            image, _ = from_record(atomicfile.read_json(f"{self.directory}/{name}{HELD}"), self._content, name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EngineError):
            return None
        return replace(image, references=())

    def held_ids(self) -> list[str]:
        """The ids of all images that are held."""
        return [f"sha256:{name.removesuffix(HELD)}" for name in os.listdir(self.directory) if name.endswith(HELD)]

    def release(self, image_id: str) -> None:
        """Delete the record of an image that is held; a missing one is fine."""
        try:
            os.unlink(f"{self.directory}/{image_id.removeprefix('sha256:')}{HELD}")
        except FileNotFoundError:
            pass

    def _path(self, image_id: str) -> str:
        return f"{self.directory}/{image_id.removeprefix('sha256:')}.json"

    def _load(self, name: str, key: tuple[int, int, int]) -> tuple[tuple[int, int, int], Image, dict[str, str]] | None:
        path = f"{self.directory}/{name}"
        try:
            record = atomicfile.read_json(path)
            image, tags = from_record(record, self._content, name.removesuffix(".json"))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, EngineError) as error:
            self.problems[name] = f"{path}: unreadable image record set aside: {error or type(error).__name__}"
            os.replace(path, path + QUARANTINE)
            return None
        return key, image, tags


def _chain_id(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"invalid layer {value!r}")
    return value
