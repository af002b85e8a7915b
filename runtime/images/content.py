"""Content by digest, in the directory form of the OCI image layout: `blobs/sha256/<hex>`.

A blob has its final name only once digest and size are verified and the data is on the disk; a reader never sees less.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from runtime.errors import InvalidParameter, NotFound
from runtime.images.manifest import MAX_DOCUMENT, Descriptor, decode, digest_of, encode
from runtime.images.reference import check_digest
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from runtime.images.compression import Readable

_CHUNK: Final = 1 << 20
_LAYOUT: Final = '{"imageLayoutVersion":"1.0.0"}'


class Hashing:
    """A reader that digests and counts what passes through it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """read(n) of the source."""
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def digest(self) -> str:
        """`sha256:...` of everything read so far."""
        return f"sha256:{self._hash.hexdigest()}"


class ContentStore:
    """Blobs below one directory; any number of processes may read and ingest at once."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._blobs = f"{root}/blobs/sha256"

    def prepare(self) -> None:
        """Make the layout's directories and marker file where they are missing; raises OSError."""
        os.makedirs(self._blobs, mode=0o700, exist_ok=True)
        marker = f"{self.root}/oci-layout"
        if not os.path.exists(marker):
            atomicfile.write_text(marker, _LAYOUT)

    def path(self, digest: str) -> str:
        """Where the blob lies or would lie; raises InvalidParameter unless it is a sha256 digest."""
        algorithm, _, value = check_digest(digest).partition(":")
        if algorithm != "sha256":
            raise InvalidParameter(f"blob {digest}: unsupported digest algorithm", digest=digest)
        return f"{self._blobs}/{value}"

    def has(self, digest: str) -> bool:
        """Whether the blob is here."""
        return os.path.exists(self.path(digest))

    def open(self, digest: str) -> BinaryIO:
        """The blob for reading; raises NotFound."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError as error:
            raise NotFound(f"blob {digest}: not in the content store", digest=digest) from error

    def read(self, digest: str) -> bytes:
        """A small blob (a document), verified again; raises NotFound, InvalidParameter if it is damaged or too big."""
        with self.open(digest) as file:
            data = file.read(MAX_DOCUMENT + 1)
        if len(data) > MAX_DOCUMENT:
            raise InvalidParameter(f"blob {digest}: larger than {MAX_DOCUMENT} bytes", digest=digest)
        if digest_of(data) != digest:
            raise InvalidParameter(f"blob {digest}: damaged on disk", digest=digest)
        return data

    def read_json(self, digest: str, what: str = "") -> dict[str, Any]:
        """A JSON document by digest; see read."""
        return decode(self.read(digest), what or f"blob {digest}")

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small blob; raises OSError."""
        digest = digest_of(data)
        path = self.path(digest)
        if not os.path.exists(path):
            atomicfile.write_bytes(path, data)
        return Descriptor(mediaType=media_type, digest=digest, size=len(data))

    def put_json(self, document: Any, media_type: str) -> Descriptor:
        """Store a document as canonical JSON."""
        return self.put(encode(document), media_type)

    def ingest(self, source: Readable, workspace: str, *, digest: str = "", size: int = -1) -> Descriptor:
        """Store a stream; raises InvalidParameter if it is not what `digest` and `size` (where given) promise.

        `workspace`: a directory on the same file system that its owner sweeps if we die.
        """
        temporary = f"{workspace}/blob-{os.urandom(8).hex()}"
        hashing = Hashing(source)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while data := hashing.read(_CHUNK):
                if 0 <= size < hashing.size:
                    break
                atomicfile.write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        return self.adopt(temporary, hashing.digest, hashing.size, digest=digest, size=size)

    def adopt(self, temporary: str, actual: str, length: int, *, digest: str = "", size: int = -1) -> Descriptor:
        """Give a finished, synced temporary file its name; on a mismatch it is deleted and InvalidParameter raised."""
        promised = digest or actual
        if size >= 0 and length != size:
            os.unlink(temporary)
            length_text = f"more than {size}" if length > size else str(length)
            raise InvalidParameter(f"blob {promised}: size is {length_text} bytes, not {size}", digest=promised)
        if actual != promised:
            os.unlink(temporary)
            raise InvalidParameter(f"blob {promised}: verification failed, the data is {actual}", digest=promised)
        os.rename(temporary, self.path(actual))
        atomicfile.sync_directory(self._blobs)
        return Descriptor(digest=actual, size=length)

    def delete(self, digest: str) -> None:
        """Remove a blob; a missing one is fine."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            pass

    def list(self) -> list[str]:
        """The digests of all blobs."""
        try:
            names = os.listdir(self._blobs)
        except FileNotFoundError:
            return []
        return [f"sha256:{name}" for name in names if len(name) == 64]
