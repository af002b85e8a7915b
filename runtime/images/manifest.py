"""Manifests, indexes and image configurations as untrusted JSON: every field is checked before anybody relies on it.

The same bytes must not be read in two ways, so a document that is both a manifest and an index is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Final, TypedDict

from runtime.errors import InvalidParameter, NotSupported
from runtime.images.reference import check_digest

MAX_DOCUMENT: Final = 4 << 20
"""Bytes of a manifest, index or configuration; containerd's limit."""
MAX_LAYERS: Final = 250

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

LAYER_TYPES: Final = {
    "": OCI_LAYER,
    "gzip": f"{OCI_LAYER}+gzip",
    "zstd": f"{OCI_LAYER}+zstd",
    "xz": OCI_LAYER,
    "bzip2": OCI_LAYER,
}
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Descriptor(TypedDict, total=False):
    """An OCI content descriptor."""

    mediaType: str
    digest: str
    size: int
    annotations: dict[str, str]
    platform: dict[str, Any]


def digest_of(data: bytes) -> str:
    """`sha256:...` of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def encode(document: Any) -> bytes:
    """A document as canonical JSON: the same bytes, and so the same digest, each time."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def decode(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object; raises InvalidParameter for anything else, also for depth that would exhaust the stack."""
    if len(data) > MAX_DOCUMENT:
        raise InvalidParameter(f"{what}: {len(data)} bytes are more than {MAX_DOCUMENT}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidParameter(f"{what}: invalid JSON: {reason}") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"{what}: not a JSON object")
    return document


def machine_architecture() -> str:
    """This machine's architecture in the image specification's words (`amd64`, `arm64`)."""
    machine = os.uname().machine
    return _MACHINES.get(machine, machine)


def is_index(document: dict[str, Any], what: str) -> bool:
    """Whether `document` is an index (else a manifest); raises InvalidParameter if it could be read as both."""
    if "manifests" in document and ("layers" in document or "config" in document):
        raise InvalidParameter(f"{what}: is both a manifest and an index")
    return "manifests" in document


def check_descriptor(value: Any, what: str) -> Descriptor:
    """A descriptor with a valid digest and size; raises InvalidParameter."""
    if not isinstance(value, dict) or not isinstance(value.get("digest"), str):
        raise InvalidParameter(f"{what}: invalid descriptor")
    check_digest(value["digest"])
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidParameter(f"{what}: descriptor {value['digest']}: invalid size", digest=value["digest"])
    return Descriptor(mediaType=str(value.get("mediaType", "")), digest=value["digest"], size=size)


def check_manifest(document: dict[str, Any], what: str) -> tuple[Descriptor, list[Descriptor]]:
    """The descriptors of the configuration and of the layers, bottom first; raises InvalidParameter."""
    if is_index(document, what):
        raise InvalidParameter(f"{what}: an index where a manifest is expected")
    layers = document.get("layers")
    if document.get("schemaVersion") != 2 or not isinstance(layers, list):
        raise InvalidParameter(f"{what}: not an image manifest")
    if len(layers) > MAX_LAYERS:
        raise InvalidParameter(f"{what}: {len(layers)} layers are more than {MAX_LAYERS}")
    return check_descriptor(document.get("config"), what), [check_descriptor(layer, what) for layer in layers]


def select_platform(document: dict[str, Any], what: str, architecture: str = "") -> Descriptor:
    """The manifest of an index for Linux and `architecture` (this machine's if empty); raises InvalidParameter."""
    architecture = architecture or machine_architecture()
    manifests = document.get("manifests")
    candidates = [entry for entry in manifests if isinstance(entry, dict)] if isinstance(manifests, list) else []
    seen = []
    for entry in candidates:
        platform = entry.get("platform")
        if not isinstance(platform, dict):
            continue
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            return check_descriptor(entry, what)
        seen.append(f"{platform.get('os')}/{platform.get('architecture')}")
    if len(candidates) == 1 and not seen:
        return check_descriptor(candidates[0], what)
    raise InvalidParameter(f"{what}: no matching manifest for linux/{architecture} (there are: {', '.join(seen)})")


def check_config(document: dict[str, Any], what: str, layers: int) -> list[str]:
    """The diff ids of an image configuration that has `layers` layers; raises InvalidParameter or NotSupported."""
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or not all(isinstance(item, str) for item in diff_ids):
        raise InvalidParameter(f"{what}: invalid rootfs in image configuration")
    for diff_id in diff_ids:
        check_digest(diff_id)
    if len(diff_ids) != layers:
        raise InvalidParameter(f"{what}: layers from manifest do not match image configuration")
    if document.get("os", "linux") != "linux":
        raise NotSupported(f"{what}: operating system {document['os']!r} is not supported")
    if not isinstance(document.get("config") or {}, dict):
        raise InvalidParameter(f"{what}: invalid config in image configuration")
    return [str(diff_id) for diff_id in diff_ids]


def chain_ids(diff_ids: list[str], base: str = "") -> list[str]:
    """The names of the unpacked layers, bottom first: each stands for itself and all below it (64 hex digits).

    `base` names a layer below the first one that has no digest (the host's).
    """
    chain: list[str] = []
    above = base
    for diff_id in diff_ids:
        above = digest_of(f"{above} {diff_id}".encode()) if above else diff_id
        chain.append(above.removeprefix("sha256:"))
    return chain
