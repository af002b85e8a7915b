"""Documents in registries that are no images: a manifest of small layers, each with its media type and annotations.

OCI 1.1 names an artifact's kind in `artifactType`; under 1.0 the media type of the (empty) configuration says it. What
is fetched is bounded before anything is downloaded, and every layer is verified by its digest.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter
from runtime.images import platform as platforms
from runtime.images.manifest import (
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    check_descriptor,
    check_manifest,
    digest_of,
    encode,
    is_index,
)
from runtime.images.reference import parse
from runtime.images.registry.backoff import Backoff
from runtime.images.registry.hosts import endpoint
from runtime.images.registry.pull import Asked, first_that_answers, make_transport
from runtime.images.registry.session import Session
from runtime.images.registry.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.images.reference import Reference
    from runtime.images.registry.repository import Document, Repository
    from runtime.images.registry.transport import Transport
    from runtime.wire.registries import Access

MAX_CONTENT: Final = 4 << 20
"""Bytes of all layers of an artifact together."""
EMPTY: Final = b"{}"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
OCI_1_0, OCI_1_1 = "1.0", "1.1"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One document of an artifact."""

    media_type: str
    content: bytes
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """`digest` is that of what the reference names, which may be an index."""

    kind: str
    """`artifactType`, or the configuration's media type where there is none."""
    layers: list[Layer]
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How an artifact is written."""

    kind: str
    config_type: str
    """The configuration's media type under OCI 1.0."""
    version: str = ""
    """OCI_1_0 or OCI_1_1; empty for the newer one that the registry takes."""
    annotations: dict[str, str] = field(default_factory=dict)
    """Of the manifest."""
    described: dict[str, str] = field(default_factory=dict)
    """Of descriptors of the manifest, and of an index of images."""
    images: tuple[str, ...] = ()
    """References of images that are copied beside it, and listed by an index whose subject it is."""


def fetch_artifact(reference: Reference, access: Access, kinds: tuple[str, ...]) -> Artifact:
    """The artifact that a reference names, of an index its member of one of `kinds`; raises EngineError.

    What is of none of them is returned without its layers.
    """
    transport = make_transport(access)
    asked = Asked(reference=reference, platform=platforms.parse(""), access=access)
    try:
        repository, document = first_that_answers(asked, transport, _top)
        digest = document.digest
        if is_index(document.content, _what(reference)):
            member = _member(document, kinds, _what(reference))
            document = repository.document(member["digest"], digest=member["digest"], size=member["size"])
        config, descriptors = check_manifest(document.content, _what(reference))
        found = str(document.content.get("artifactType") or config["mediaType"])
        if found not in kinds:
            return Artifact(kind=found, layers=[], digest=digest)
        return Artifact(kind=found, layers=_layers(repository, document, descriptors), digest=digest)
    finally:
        transport.close()


def publish_artifact(reference: Reference, access: Access, layers: list[Layer], form: Form) -> str:
    """Write an artifact and what goes with it under a reference; its digest. Raises EngineError."""
    if form.version not in ("", OCI_1_0, OCI_1_1):
        raise InvalidParameter(f"unsupported OCI version: {form.version}")
    transport = make_transport(access)
    try:
        upload = _upload(reference, access, transport)
        manifest = _publish(upload, reference, layers, form)
        if form.images:
            entries = [_copy(reference, parse(image).tagged(), access, transport) for image in form.images]
            index = encode(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_INDEX,
                    "manifests": entries,
                    "subject": manifest,
                    "annotations": form.described,
                }
            )
            upload.manifest(index, OCI_INDEX, digest_of(index))
        return str(manifest["digest"])
    finally:
        transport.close()


def _top(repository: Repository) -> Document:
    reference = repository.session.reference
    return repository.document(reference.digest or reference.tag or "latest", digest=reference.digest)


def _member(index: Document, kinds: tuple[str, ...], what: str) -> Descriptor:
    entries = [entry for entry in index.content["manifests"] or () if isinstance(entry, dict)]
    chosen = [entry for entry in entries if entry.get("artifactType") in kinds]
    if not chosen:
        raise InvalidParameter(f"{what}: an index that lists no {kinds[0]}")
    return check_descriptor(chosen[-1], what)


def _layers(repository: Repository, document: Document, descriptors: list[Descriptor]) -> list[Layer]:
    what = _what(repository.session.reference)
    total = sum(each["size"] for each in descriptors)
    if total > MAX_CONTENT:
        raise InvalidParameter(f"{what}: {total} bytes are more than {MAX_CONTENT}")
    return [
        Layer(media_type=each["mediaType"], content=repository.blob(each), annotations=_annotations(raw))
        for each, raw in zip(descriptors, document.content["layers"], strict=True)
    ]


def _annotations(raw: dict[str, Any]) -> dict[str, str]:
    said = raw.get("annotations")
    pairs = said.items() if isinstance(said, dict) else ()
    return {str(key): value for key, value in pairs if isinstance(value, str)}


def _publish(upload: Upload, reference: Reference, layers: list[Layer], form: Form) -> dict[str, Any]:
    descriptors = []
    for layer in layers:
        blob = Descriptor(mediaType=layer.media_type, digest=digest_of(layer.content), size=len(layer.content))
        _bring(upload, blob, layer.content)
        descriptors.append({**blob, "annotations": layer.annotations, "data": _data(layer.content)})
    if form.version:
        return _manifest(upload, reference, descriptors, form)
    try:
        return _manifest(upload, reference, descriptors, replace(form, version=OCI_1_1))
    except InvalidParameter:
        # a registry that does not know artifacts refuses the manifest
        return _manifest(upload, reference, descriptors, replace(form, version=OCI_1_0))


def _manifest(upload: Upload, reference: Reference, layers: list[dict[str, Any]], form: Form) -> dict[str, Any]:
    newer = form.version == OCI_1_1
    config = Descriptor(mediaType=EMPTY_TYPE if newer else form.config_type, digest=digest_of(EMPTY), size=len(EMPTY))
    _bring(upload, config, EMPTY)
    kind = {"artifactType": form.kind} if newer else {}
    data = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            **kind,
            "config": {**config, "data": _data(EMPTY)},
            "layers": layers,
            "annotations": form.annotations,
        }
    )
    upload.manifest(data, OCI_MANIFEST, reference.tag or digest_of(data))
    described = {"mediaType": OCI_MANIFEST, "digest": digest_of(data), "size": len(data)}
    return {**described, **kind, "annotations": form.described}


def _bring(upload: Upload, blob: Descriptor, content: bytes) -> None:
    if not upload.has(blob["digest"]):
        upload.blob(blob, lambda: content)


def _copy(target: Reference, image: Reference, access: Access, transport: Transport) -> dict[str, Any]:
    """Copy an image, of all its platforms, into the target's repository by digest; its descriptor."""
    asked = Asked(reference=image, platform=platforms.parse(""), access=access)
    repository, document = first_that_answers(asked, transport, _top)
    mounts = [image.path] if repository.session.endpoint.name == target.domain and image.path != target.path else []
    upload = _upload(target, access, transport, mounts)
    if is_index(document.content, _what(image)):
        for entry in document.content["manifests"]:
            member = check_descriptor(entry, _what(image))
            below = repository.document(member["digest"], digest=member["digest"], size=member["size"])
            _copy_manifest(repository, upload, below, mounts)
        upload.manifest(document.data, document.media_type, document.digest)
    else:
        _copy_manifest(repository, upload, document, mounts)
    return {"mediaType": document.media_type, "digest": document.digest, "size": len(document.data)}


def _copy_manifest(repository: Repository, upload: Upload, document: Document, mounts: Iterable[str]) -> None:
    config, layers = check_manifest(document.content, _what(repository.session.reference))
    for blob in (config, *layers):
        if not upload.has(blob["digest"]):
            # the registry that receives it compares the digest
            upload.blob(blob, lambda blob=blob: repository.open_blob(blob, 0, Backoff())[0], mounts)  # type: ignore[misc]
    upload.manifest(document.data, document.media_type, document.digest)


def _upload(reference: Reference, access: Access, transport: Transport, sources: Iterable[str] = ()) -> Upload:
    place = endpoint(reference.domain, access.get("registries", {}))
    credentials = access.get("auth", {}).get(place.name, {})
    return Upload(Session(place, reference, credentials, transport, push=True, sources=sources))


def _what(reference: Reference) -> str:
    return f"artifact {reference.familiar}"


def _data(content: bytes) -> str:
    return base64.b64encode(content).decode()
