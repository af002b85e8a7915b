"""Images of several platforms: an index in the content store that a name stands for, and the images that it lists.

Only one of them has a record, the one that the name runs here. The others are what index, manifests and configurations
say; whatever an index lists is needed as long as a name stands for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import EngineError
from runtime.images import platform as platforms
from runtime.images.manifest import (
    OCI_INDEX,
    Descriptor,
    chain_ids,
    check_config,
    check_descriptor,
    check_manifest,
    decode,
)
from runtime.images.records import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.images.content import ContentStore
    from runtime.images.platform import Platform

UNKNOWN: Final = {"os": "unknown", "architecture": "unknown"}
"""The platform of what is in an index and is no image."""


class Member(NamedTuple):
    """One entry of an index: `described` is the descriptor as the index has it."""

    described: dict[str, Any]
    manifest: Descriptor
    platform: Platform | None


def put(content: ContentStore, entries: Iterable[dict[str, Any]]) -> Descriptor:
    """Write an index of descriptors into the content store; raises OSError."""
    return content.put_json(document(entries), OCI_INDEX)


def document(entries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """An OCI image index."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}


def entry(manifest: Descriptor, platform: Platform) -> dict[str, Any]:
    """A descriptor of an image's manifest as it is written into an index."""
    said = {"os": platform.os, "architecture": platform.architecture}
    if platform.variant:
        said["variant"] = platform.variant
    return {
        "mediaType": manifest["mediaType"],
        "digest": manifest["digest"],
        "size": manifest["size"],
        "platform": said,
    }


def members(content: ContentStore, digest: str) -> list[Member]:
    """The entries of an index of the content store; raises NotFound, InvalidParameter."""
    found = decode(content.read(digest), f"index {digest}").get("manifests")
    entries = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [Member(each, check_descriptor(each, f"index {digest}"), platforms.of_entry(each)) for each in entries]


def images(content: ContentStore, image: Image, digest: str) -> Iterator[tuple[Member, Image]]:
    """The images of an index that are here; `image` is the one of them that has a record. Raises as members does."""
    for member in members(content, digest):
        if member.platform is None:
            continue
        config, blobs = check_manifest(content.read_json(member.manifest["digest"]), f"index {digest}")
        if config["digest"] == image.id:
            yield member, image
            continue
        said = content.read_json(config["digest"])
        diff_ids = check_config(said, f"image {config['digest']}", len(blobs))
        yield (
            member,
            Image(
                id=config["digest"],
                references=(),
                document=said,
                manifest_digest=member.manifest["digest"],
                created=str(said.get("created") or ""),
                layers=tuple(chain_ids(diff_ids)),
            ),
        )


def needs(content: ContentStore, image: Image) -> tuple[set[str], set[str]]:
    """Digests of blobs, and chain ids of layers, that the names of an image need for their indexes."""
    digests: set[str] = set()
    chains: set[str] = set()
    for index in set(image.indexes.values()):
        digests.add(index)
        try:
            for member in members(content, index):
                digests.add(member.manifest["digest"])
                config, blobs = check_manifest(content.read_json(member.manifest["digest"]), f"index {index}")
                digests |= {config["digest"], *(blob["digest"] for blob in blobs)}
            for _, each in images(content, image, index):
                chains |= set(each.layers)
        except EngineError:
            continue
    return digests, chains
