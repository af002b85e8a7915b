"""Read a repository: manifests and indexes verified by digest and read in one way only, blobs as streams."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, InvalidParameter, NotSupported
from runtime.images import platform as platforms
from runtime.images.manifest import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    MAX_DOCUMENT,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    check_descriptor,
    check_manifest,
    decode,
    digest_of,
    is_index,
)
from runtime.images.reference import check_digest
from runtime.images.registry.transport import Broken, discard, read_bounded

if TYPE_CHECKING:
    import urllib3

    from runtime.images.platform import Platform
    from runtime.images.registry.backoff import Backoff
    from runtime.images.registry.session import Session

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT: Final = f"{OCI_INDEX}, {DOCKER_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}"
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1"
_MAX_DEPTH: Final = 2
_ATTEMPTS: Final = 3
_PAGE: Final = 1000
_MAX_PAGES: Final = 100
_NEXT: Final = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A manifest or index as its registry has it."""

    data: bytes
    media_type: str
    digest: str
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a reference leads to on one platform."""

    digest: str
    """Of the manifest or index that the reference names."""
    manifest: Document
    config: Descriptor
    layers: list[Descriptor]


class Repository:
    """Reads one repository through its session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def resolve(self, wanted: Platform) -> Found:
        """The image for `wanted`; raises NotFound, InvalidParameter (there is none for it, or it cannot be trusted)."""
        reference = self.session.reference
        document = self.document(reference.digest or reference.tag or "latest", digest=reference.digest)
        top, depth = document.digest, 0
        while is_index(document.content, self._what(document.digest)):
            if depth == _MAX_DEPTH:
                raise InvalidParameter(f"{self._what(top)}: indexes are nested too deeply")
            depth += 1
            chosen = choose(document.content, wanted, self._what(top))
            document = self.document(chosen["digest"], digest=chosen["digest"], size=chosen["size"])
        config, layers = check_manifest(document.content, self._what(document.digest))
        return Found(digest=top, manifest=document, config=config, layers=layers)

    def digest(self) -> str:
        """The digest that the reference stands for at this moment; raises as resolve does."""
        reference = self.session.reference
        return self.document(reference.digest or reference.tag or "latest", digest=reference.digest).digest

    def document(self, name: str, *, digest: str = "", size: int = -1) -> Document:
        """A manifest or index by tag or digest; `digest` and `size`, where given, must be its."""
        response, data = self._read(f"manifests/{name}", {"Accept": ACCEPT}, digest or f"manifest {name}")
        actual = digest_of(data)
        if 0 <= size != len(data):
            raise InvalidParameter(f"{self._what(digest)}: size is {len(data)} bytes, not {size}", digest=digest)
        if digest and not _is(data, digest):
            raise InvalidParameter(f"{self._what(digest)}: verification failed, the data is {actual}", digest=digest)
        said = response.headers.get("docker-content-digest", "")
        if said.startswith("sha256:") and said != actual:
            raise InvalidParameter(f"{self._what(name)}: the registry says it is {said}, the data is {actual}")
        content = _decoded(data, self._what(name))
        return Document(
            data=data,
            media_type=_media_type(response, content, self._what(name)),
            digest=digest or actual,
            content=content,
        )

    def tags(self) -> list[str]:
        """All tags, page by page; raises NotFound, InvalidParameter."""
        rest = f"tags/list?n={_PAGE}"
        found: list[str] = []
        for _ in range(_MAX_PAGES):
            response, data = self._read(rest, {}, "list of tags")
            listed = _decoded(data, self._what("list of tags")).get("tags")
            found += [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
            more = _NEXT.search(response.headers.get("link", ""))
            if more is None:
                return found
            rest = more[1]
        raise InvalidParameter(f"{self._what('list of tags')}: has no end")

    def blob(self, blob: Descriptor) -> bytes:
        """A small blob, verified; raises InvalidParameter for one that is larger than any configuration."""
        digest, size = blob["digest"], blob["size"]
        if size > MAX_DOCUMENT:
            raise InvalidParameter(f"{self._what(digest)}: {size} bytes are more than {MAX_DOCUMENT}")
        _, data = self._read(f"blobs/{digest}", {}, digest, limit=size)
        if len(data) != size:
            raise InvalidParameter(f"{self._what(digest)}: size is {len(data)} bytes, not {size}", digest=digest)
        if not _is(data, digest):
            raise InvalidParameter(
                f"{self._what(digest)}: verification failed, the data is {digest_of(data)}", digest=digest
            )
        return data

    def open_blob(self, blob: Descriptor, offset: int, backoff: Backoff) -> tuple[urllib3.BaseHTTPResponse, int]:
        """A blob's bytes from `offset` on as far as the registry goes along, and where they really begin."""
        digest = blob["digest"]
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self.session.send(
            "GET", self.session.repository(f"blobs/{digest}"), headers=headers, backoff=backoff, what=f"blob {digest}"
        )
        if response.status == 206 and offset:
            return response, _range_start(response, offset)
        if response.status == 200:
            return response, 0
        if response.status == 416:
            discard(response)
            raise InvalidParameter(f"{self._what(digest)}: size is {offset} bytes, not {blob['size']}", digest=digest)
        raise self.session.failure(response, f"blob {digest}")

    def _read(
        self, rest: str, headers: dict[str, str], what: str, limit: int = MAX_DOCUMENT
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        """A document's bytes; a connection that breaks under way is tried again."""
        attempt = 1
        while True:
            # a further page of a list comes as an address
            path = rest if rest.startswith(("/", "http")) else self.session.repository(rest)
            response = self.session.send("GET", path, headers=headers)
            if response.status != 200:
                raise self.session.failure(response, f"blob {what}" if rest.startswith("blobs/") else "")
            try:
                return response, read_bounded(response, limit, self._what(what))
            except Broken:
                if attempt == _ATTEMPTS:
                    raise
                attempt += 1

    def _what(self, part: str) -> str:
        return f"image {self.session.reference.familiar}: {part}"


def choose(index: dict[str, Any], wanted: Platform, what: str) -> Descriptor:
    """The manifest of an index that fits `wanted` best; raises InvalidParameter naming what there is instead."""
    listed = index.get("manifests")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    offered = [(platforms.of_entry(entry), entry) for entry in entries]
    for platform in platforms.acceptable(wanted):
        for said, entry in offered:
            if said == platform:
                return check_descriptor(entry, what)
    if len(entries) == 1 and "platform" not in entries[0]:
        return check_descriptor(entries[0], what)  # its configuration will tell
    there = ", ".join(dict.fromkeys(str(said) for said, _ in offered if said is not None)) or "none"
    raise InvalidParameter(
        f"{what}: no matching manifest for {wanted} in the manifest list entries (there is: {there})"
    )


def _decoded(data: bytes, what: str) -> dict[str, Any]:
    try:
        return decode(data, what)
    except EngineError as error:
        # what a captive portal or a proxy's error page looks like
        hint = " (an HTML page: does a proxy or portal answer?)" if data.lstrip()[:1] == b"<" else ""
        raise InvalidParameter(f"{error.message}{hint}") from error


def _media_type(response: urllib3.BaseHTTPResponse, content: dict[str, Any], what: str) -> str:
    """The type on which header and document agree; raises InvalidParameter if they do not, as bytes must mean one thing."""
    sent = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    said = content.get("mediaType")
    if content.get("schemaVersion") == 1 or sent.startswith(_SCHEMA_1):
        raise NotSupported(f"{what}: Docker image manifest version 2, schema 1 is no longer supported; push it anew")
    known = [kind for kind in (sent, said) if kind in INDEXES or kind in MANIFESTS]
    if said is not None and said not in INDEXES and said not in MANIFESTS:
        raise NotSupported(f"{what}: unsupported media type {str(said)[:100]!r}")
    if len(set(known)) > 1:
        raise InvalidParameter(f"{what}: the registry calls it {sent}, the document itself {said}")
    index = is_index(content, what)
    if known and (known[0] in INDEXES) != index:
        raise InvalidParameter(f"{what}: is called {known[0]}, but its content is {'an index' if index else 'none'}")
    return str(known[0]) if known else OCI_INDEX if index else OCI_MANIFEST


def _is(data: bytes, digest: str) -> bool:
    algorithm, _, value = check_digest(digest).partition(":")
    return hashlib.new(algorithm, data).hexdigest() == value


def _range_start(response: urllib3.BaseHTTPResponse, offset: int) -> int:
    said = response.headers.get("content-range", "")
    start = said.removeprefix("bytes ").partition("-")[0].strip()
    return int(start) if start.isdigit() else offset
