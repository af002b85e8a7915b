"""An image as the API tells it, in the words of Docker's `image inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.images import hostlayer, indexes, layers

if TYPE_CHECKING:
    from runtime.images.records import Image
    from runtime.images.store import ImageStore


def summary(image: Image) -> dict[str, Any]:
    """What lists and reconcilers need; `Config` is the image's own, without Docker's zero values."""
    return {
        "Id": image.id,
        "RepoTags": image.repo_tags,
        "RepoDigests": image.repo_digests,
        "Digest": image.manifest_digest,
        "Created": image.created,
        "Size": image.size,
        "Architecture": image.architecture,
        "Os": image.os,
        "Config": image.config,
        "Labels": image.config.get("Labels") or {},
        "BuiltIn": image.id == hostlayer.image_id(),
    }


def details(image: Image, store: ImageStore) -> dict[str, Any]:
    """The summary and the rest of what `inspect` shows; layer directories are named, not opened."""
    document = image.document
    history = [entry for entry in document.get("history") or () if isinstance(entry, dict)]
    directories = store.layer_dirs(image)
    data = {"UpperDir": directories[0], "LowerDir": ":".join(directories[1:])} if directories else {}
    return {
        **summary(image),
        "Parent": "",
        "Comment": str(document.get("comment") or (history[-1].get("comment") if history else "") or ""),
        "DockerVersion": str(document.get("docker_version") or ""),
        "Author": str(document.get("author") or ""),
        "Variant": str(document.get("variant") or ""),
        "GraphDriver": {"Data": {key: value for key, value in data.items() if value}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": list(document["rootfs"]["diff_ids"])},
        "History": _history(image, history, store),
        "Metadata": {"LastTagTime": image.tagged_at or "0001-01-01T00:00:00Z"},
        **({"Manifests": _manifests(image, store)} if image.indexes else {}),
    }


def _manifests(image: Image, store: ImageStore) -> list[dict[str, Any]]:
    """What the indexes list that names of the image stand for, in the words of Docker's API 1.48."""
    found = {}
    for index in sorted(set(image.indexes.values())):
        for member, each in indexes.images(store.content, image, index):
            size = sum(int(layers.record(store, chain).get("size", 0)) for chain in each.layers)
            platform = member.described["platform"]
            found[member.manifest["digest"]] = {
                "ID": member.manifest["digest"],
                "Descriptor": member.described,
                "Available": True,
                "Kind": "image",
                "ImageData": {"Platform": platform, "Size": {"Unpacked": size}},
            }
    return list(found.values())


def _history(image: Image, entries: list[dict[str, Any]], store: ImageStore) -> list[dict[str, Any]]:
    """Docker's `image history`, the newest first: entries with a layer know its size in bytes of file content."""
    chains = iter(image.layers)
    rows = []
    for entry in entries:
        chain = "" if entry.get("empty_layer") else next(chains, "")
        rows.append(
            {
                "Id": "<missing>",
                "Created": str(entry.get("created") or ""),
                "CreatedBy": str(entry.get("created_by") or ""),
                "Comment": str(entry.get("comment") or ""),
                "Size": int(layers.record(store, chain).get("size", 0)) if chain else 0,
                "Tags": None,
            }
        )
    if rows:
        rows[-1] |= {"Id": image.id, "Tags": image.repo_tags}
    return rows[::-1]
