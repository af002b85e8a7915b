"""A registry in this process that tells the truth until a test makes it lie, and remembers what it was asked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Made:
    """An image in the registry, in parts."""

    manifest: bytes
    config: bytes
    layers: list[bytes]
    """As they are transferred."""

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest)}


class Request(BaseHTTPRequestHandler):
    """One request; `registry` answers unless a lie does."""

    protocol_version = "HTTP/1.1"
    registry: LyingRegistry

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; header names with `_` for `-`."""
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_one(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        with self.registry.lock:
            self.registry.requests.append(
                (self.command, self.path, {key.lower(): value for key, value in self.headers.items()})
            )
        try:
            if not any(lie(self) for lie in self.registry.lies):
                self.registry.truth(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_one  # noqa: N815 - http.server looks for these

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class LyingRegistry:
    """Serves `blobs` and `manifests`; every function in `lies` may answer first and returns whether it did."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """`repository/tag` or `repository/digest` to document and content type."""
    lies: list[Callable[[Request], bool]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    address: str = "127.0.0.1"
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever stalls wakes up."""
    _server: ThreadingHTTPServer | None = None

    def start(self, certificates: Path | None = None) -> LyingRegistry:
        """Listen; with TLS if there are `server.pem` and `server.key` in `certificates`."""
        handler = type("Handler", (Request,), {"registry": self})
        self._server = ThreadingHTTPServer((self.address, 0), handler)
        self._server.daemon_threads = True
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def host(self) -> str:
        assert self._server is not None
        return f"{self.address}:{self._server.server_address[1]}"

    def image(self, name: str, *layers: bytes, **config: Any) -> Made:
        """Put an image of plain tar layers at `repository:tag`; keywords go into its configuration."""
        sent = [gzip.compress(layer, 1, mtime=0) for layer in layers]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            **config,
        }
        return self.put(name, json.dumps(document).encode(), sent)

    def put(self, name: str, config: bytes, layers: list[bytes], **manifest: Any) -> Made:
        """Put an image of the given parts; keywords go into the manifest."""
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(config, CONFIG),
            "layers": [self.blob(layer, LAYER) for layer in layers],
            **manifest,
        }
        made = Made(json.dumps(document).encode(), config, layers)
        self.document(name, made.manifest, MANIFEST)
        return made

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Put a blob; its descriptor."""
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    def document(self, name: str, data: bytes, media_type: str) -> str:
        """Put a manifest or index at `repository:tag` and under its digest, which is returned."""
        repository, _, tag = name.partition(":")
        for key in (tag or "latest", digest_of(data)):
            self.manifests[f"{repository}/{key}"] = (data, media_type)
        return digest_of(data)

    def index(self, name: str, entries: list[dict[str, Any]]) -> str:
        """Put an index; its digest."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return self.document(name, json.dumps(document).encode(), INDEX)

    def asked(self, method: str, part: str) -> list[dict[str, str]]:
        """The headers of requests whose path has `part` in it."""
        with self.lock:
            return [headers for verb, path, headers in self.requests if verb == method and part in path]

    def lie(self, part: str, answer: Callable[[Request], None], *, times: int = 1 << 30, method: str = "GET") -> None:
        """Have `answer` answer the first `times` requests for paths with `part` in them."""
        left = [times]

        def one(request: Request) -> bool:
            if request.command != method or part not in request.path:
                return False
            with self.lock:
                left[0] -= 1
                if left[0] < 0:
                    return False
            answer(request)
            return True

        self.lies.append(one)

    def truth(self, request: Request) -> None:
        """What an honest registry answers."""
        path = request.path.partition("?")[0]
        if path == "/v2/":
            request.answer(200, b"{}")
            return
        if "/blobs/" in path:
            data = self.blobs.get(path.rpartition("/")[2])
            if data is None:
                request.answer(404, error("BLOB_UNKNOWN", "blob unknown to registry"))
                return
            start = request.headers.get("range", "").removeprefix("bytes=").rstrip("-")
            if start and int(start) < len(data):
                rest = data[int(start) :]
                request.answer(206, rest, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
            elif start:
                request.answer(416)
            else:
                request.answer(200, data)
            return
        repository, _, name = path.removeprefix("/v2/").partition("/manifests/")
        found = self.manifests.get(f"{repository}/{name}")
        if found is None:
            request.answer(404, error("MANIFEST_UNKNOWN", "manifest unknown"))
            return
        request.answer(200, found[0], Content_Type=found[1], Docker_Content_Digest=digest_of(found[0]))


def error(code: str, message: str) -> bytes:
    """The body of a registry's error."""
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def take(registry: LyingRegistry) -> None:
    """Let the registry store what is pushed."""

    def stored(request: Request) -> bool:
        path, _, query = request.path.partition("?")
        if request.command == "POST" and path.endswith("/blobs/uploads/"):
            request.answer(202, Location=f"{path}session?state=1")
        elif request.command == "PUT" and "/blobs/uploads/" in path:
            digest = query.partition("digest=")[2].replace("%3A", ":")
            registry.blobs[digest] = request.body
            request.answer(201 if digest_of(request.body) == digest else 400)
        elif request.command == "PUT" and "/manifests/" in path:
            name = path.removeprefix("/v2/").replace("/manifests/", ":")
            registry.document(name, request.body, request.headers["content-type"])
            request.answer(201)
        else:
            return False
        return True

    registry.lies.append(stored)
