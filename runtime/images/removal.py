"""Take names from images, delete images, and collect the content that nothing needs any more.

Which containers use an image is for the caller to say; the rules are Docker's: the last name of an image in use goes only
by force, a running container keeps its image, a stopped one keeps what it needs to start again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import Conflict, Forbidden
from runtime.images import hostlayer, indexes, layers, partial, workspace
from runtime.images.buildcache import BuildCache
from runtime.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.images.records import Image
    from runtime.images.store import ImageStore


class User(NamedTuple):
    """A container that was made of an image, or mounts it."""

    name: str
    running: bool


Users = dict[str, list[User]]
"""By image id; an image that no container uses is not in it."""
Report = list[dict[str, str]]
"""Docker's: `{"Untagged": "app:1"}` and `{"Deleted": "sha256:..."}` of images and of layers, in order."""


class Collected(NamedTuple):
    """What a collection took away."""

    layers: frozenset[str]
    """Chain ids; they wait in the trash for a worker."""
    size: int
    """Bytes of file content in those layers."""


NOTHING = Collected(frozenset(), 0)


def remove(
    store: ImageStore, text: str, *, force: bool = False, users: Mapping[str, Sequence[User]] | None = None
) -> Report:
    """Take a name from an image, and with the last one the image; by id the image with all its names.

    Raises NotFound, Conflict (in use, or several names, without `force`), Forbidden (built in).
    """
    users = users or {}
    with workspace.index_lock(store.root):
        image, named = store.find(text)
        if image.id == hostlayer.image_id():
            raise Forbidden(f"image {hostlayer.REFERENCE}: is built in and cannot be removed")
        holders = users.get(image.id, ())
        tags = [reference for reference in image.references if "@" not in reference]
        # names by digest go with the last tag
        gone = image.references if named is None or tags == [str(named)] else (str(named),)
        last = len(gone) == len(image.references)
        if named is None:
            _check_image(image, tags, holders, force=force)
        elif last and holders and not force:
            raise Conflict(
                f"image {named.familiar}: unable to remove (must be forced): container {holders[0].name} is using it; "
                "remove the container first or use --force"
            )
        report = [{"Untagged": parse(reference).familiar} for reference in gone]
        if not last or (named is not None and any(holder.running for holder in holders)):
            store.untag(image, gone)
            return report
        store.forget(image, keep=bool(holders))
    return report + _deleted(image, collect(store, users))


def prune(
    store: ImageStore, wanted: Callable[[Image], bool], *, all: bool, users: Mapping[str, Sequence[User]]
) -> tuple[Report, int]:
    """Delete the images without a name (with `all`: those with one too) that no container uses and that are `wanted`.

    Returns the report and the bytes of file content that are free now.
    """
    with workspace.index_lock(store.root):
        chosen = [
            image
            for image in store.list()
            if image.id != hostlayer.image_id()
            and image.id not in users
            and (all or not image.repo_tags)
            and wanted(image)
        ]
        for image in chosen:
            store.forget(image, keep=False)
    collected = collect(store, users)
    report: Report = []
    told: set[str] = set()
    for image in chosen:
        report += [{"Untagged": parse(reference).familiar} for reference in image.references]
        deleted = _deleted(image, collected)
        report += [line for line in deleted if line["Deleted"] not in told]
        told |= {line["Deleted"] for line in deleted}
    return report, collected.size


def collect(store: ImageStore, users: Mapping[str, Sequence[User]] | None = None) -> Collected:
    """Move what no record needs to the trash (layers) or delete it (blobs); does nothing while a job is at work.

    With a damaged record about nobody knows what it needed: then nothing is collected until it is deleted.
    """
    moved: set[str] = set()
    size = 0
    with workspace.collector(store.root) as free, workspace.index_lock(store.root):
        held = store.release(users or {})
        if not free or held is None or store.is_damaged:
            return NOTHING
        partial.expire(store.root)
        images = store.list() + held
        needed = {chain for image in images for chain in image.layers} | BuildCache(store.root).chains()
        needed |= {chain for image in images for chain in indexes.needs(store.content, image)[1]}
        needed.add(hostlayer.LAYER)
        for chain in os.listdir(f"{store.root}/layers"):
            if chain not in needed:
                size += int(layers.record(store, chain).get("size", 0))
                os.rename(f"{store.root}/layers/{chain}", f"{store.trash}/layer-{chain}-{os.urandom(4).hex()}")
                moved.add(chain)
        blobs = {digest for image in images if image.manifest_digest for digest in store.blobs_of(image)}
        for digest in store.content.list():
            if digest not in blobs:
                store.content.delete(digest)
    return Collected(frozenset(moved), size)


def _check_image(image: Image, tags: Sequence[str], holders: Sequence[User], *, force: bool) -> None:
    what = f"image {image.id[7:19]}: unable to delete"
    for holder in holders:
        if holder.running:
            raise Conflict(
                f"{what} (cannot be forced): is being used by running container {holder.name}; stop it first"
            )
    if len(tags) > 1 and not force:
        raise Conflict(f"{what} (must be forced): is referenced in multiple repositories")
    if holders and not force:
        raise Conflict(
            f"{what} (must be forced): is being used by stopped container {holders[0].name}; "
            "remove the container first or use --force"
        )


def _deleted(image: Image, collected: Collected) -> Report:
    """The image, then those of its layers that went with it, top first."""
    gone = [chain for chain in reversed(image.layers) if chain in collected.layers]
    return [{"Deleted": image.id}, *({"Deleted": f"sha256:{chain}"} for chain in gone)]
