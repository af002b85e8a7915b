"""Tell which images a project's containers were made of, and make images of root file systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.usecases import containers
from runtime.errors import NotFound, SystemFailure, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.client.client import Client


def used_images(client: Client, project: str, services: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A row for each container by name, with the fields of `images --format json`."""
    rows = []
    for container in containers.of_project(client, project, services, all=True):
        identity = container.get("Image", "")
        reference = container.get("Config", {}).get("Image", "")
        try:
            image = client.image(identity)
        except NotFound:
            image = {}
        repository, tag = split_reference(_tag(image, reference))
        rows.append(
            {
                "ID": identity,
                "ContainerName": containers.name_of(container),
                "Repository": repository,
                "Tag": tag,
                "Platform": "/".join(filter(None, (image.get("Os", ""), image.get("Architecture", "")))),
                "Size": int(image.get("Size") or 0),
                "LastTagTime": image.get("Created") or "0001-01-01T00:00:00Z",
            }
        )
    return rows


def import_image(
    client: Client, source: str, reference: str, changes: Sequence[str], progress: Callable[[str], None]
) -> str:
    """Import a tar archive or directory (absolute path); the image's id. Raises the engine's error."""
    for event in client.import_image(source, reference, changes):
        if event.get("error"):
            raise from_wire(event["error"])
        if event.get("status") == "finished":
            return str((event.get("result") or event).get("Id", ""))
        if event.get("text"):
            progress(str(event["text"]))
    raise SystemFailure(f"image {reference}: import ended without a result")


def split_reference(reference: str) -> tuple[str, str]:
    """Repository and tag; the tag is empty for a digest."""
    if "@" in reference:
        return reference.partition("@")[0], ""
    head, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return reference, "latest" if reference else ""
    return head, tag


def _tag(image: dict[str, Any], reference: str) -> str:
    tags: list[str] = image.get("RepoTags") or []
    return reference if reference in tags or not tags else tags[0]
