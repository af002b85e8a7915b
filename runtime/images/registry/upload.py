"""Bring blobs and manifests to one repository: what it has is not sent, what a neighbour has is mounted from it.

An upload that breaks is begun anew: the distribution protocol's resumed uploads differ too much between registries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from runtime.errors import SystemFailure
from runtime.images.manifest import digest_of
from runtime.images.registry.backoff import Backoff
from runtime.images.registry.session import PASSING
from runtime.images.registry.transport import Broken, discard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import urllib3

    from runtime.images.manifest import Descriptor
    from runtime.images.registry.session import Session

SOURCES: Final = 3
"""Repositories that one blob is tried to be mounted from."""


class Upload:
    """Writes to the repository of a session that may push; every method raises EngineError."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        response = self._session.send("HEAD", self._session.repository(f"blobs/{digest}"))
        if response.status not in (200, 404):
            raise self._session.failure(response, f"blob {digest}")
        discard(response)
        return response.status == 200

    def blob(self, blob: Descriptor, source: Callable[[], Any], mounts: Iterable[str] = ()) -> str:
        """Bring a blob; the repository of `mounts` that it was mounted from, or "" if it was sent.

        `source` makes its bytes, or a reader of them, anew for each attempt.
        """
        digest = blob["digest"]
        for path in list(mounts)[:SOURCES]:
            response = self._begin(digest, path)
            if response.status == 201:
                discard(response)
                return path
            discard(response)
        backoff = Backoff()
        while True:
            try:
                self._send(digest, blob["size"], source)
            except Broken:
                if not backoff.again():
                    raise
            else:
                return ""

    def manifest(self, data: bytes, media_type: str, name: str) -> None:
        """Put a manifest or index under a tag or its digest."""
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        response = self._session.send(
            "PUT", self._session.repository(f"manifests/{name}"), headers=headers, body=lambda: data
        )
        if response.status not in (200, 201, 202):
            raise self._session.failure(response, "manifest")
        said = response.headers.get("docker-content-digest", "")
        discard(response)
        actual = digest_of(data)
        if said.startswith("sha256:") and said != actual:
            image = self._session.reference.familiar
            raise SystemFailure(f"image {image}: the registry stored manifest {said}, what was sent is {actual}")

    def _begin(self, digest: str, path: str = "") -> urllib3.BaseHTTPResponse:
        query = f"?{urlencode({'mount': digest, 'from': path})}" if path else ""
        return self._session.send("POST", self._session.repository(f"blobs/uploads/{query}"), what=f"blob {digest}")

    def _send(self, digest: str, size: int, source: Callable[[], Any]) -> None:
        response = self._begin(digest)
        place = response.headers.get("location", "")
        if response.status != 202 or not place:
            raise self._session.failure(response, f"blob {digest}")
        discard(response)
        place = self._session.absolute(place)
        place += ("&" if "?" in place else "?") + f"digest={quote(digest, safe='')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        response = self._session.once("PUT", place, headers=headers, body=source)
        if response.status in PASSING:
            raise Broken(self._session.failure(response, f"blob {digest}").message)
        if response.status != 201:
            raise self._session.failure(response, f"blob {digest}")
        discard(response)
