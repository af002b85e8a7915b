"""Images: which of them a project's containers were made of, what one is, plans that remove some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.reconcile.plan import Plan, PlanBuilder
from compose.usecases import containers
from runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.client.client import Client

CONFIG: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
"""What Docker shows of a configuration that says nothing."""


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


def removal(images: Sequence[str], *, force: bool) -> Plan:
    """The plan that takes names from images, or deletes them; each for itself."""
    builder = PlanBuilder()
    for image in images:
        builder.add(
            "RemoveImage",
            subject=f"image:{image}",
            resource=f"image {image}",
            cause="rm",
            args={"Image": image, "Force": force},
        )
    return builder.build("")


def described(image: Mapping[str, Any]) -> dict[str, Any]:
    """An image with the keys and in the order of Docker's `image inspect`; `Manifests` where a name is an index."""
    config = image["Config"]
    return {
        **{key: image[key] for key in ("Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created")},
        **{key: image[key] for key in ("DockerVersion", "Author")},
        "Config": {**CONFIG, **{key: value for key, value in config.items() if value is not None}},
        "Architecture": image["Architecture"],
        **({"Variant": image["Variant"]} if image["Variant"] else {}),
        **{key: image[key] for key in ("Os", "Size", "GraphDriver", "RootFS", "Metadata")},
        **({"Manifests": image["Manifests"]} if image.get("Manifests") else {}),
    }


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
    repository, tag = split_reference(reference)
    return reference if not tags or f"{repository}:{tag}" in tags else tags[0]
