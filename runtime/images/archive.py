"""Make an image of a root file system: a tar archive in any compression, or a directory.

The result has one layer and no copy of the archive: the layer's digest is that of our own tar stream of it, which can
be made again at any time. A directory is read once, hashed and copied in the same pass, never linked or mounted.
"""

from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter, NotFound
from runtime.images import changes as instructions
from runtime.images import layers, workspace
from runtime.images.compression import CHUNK, Counted, decompressed
from runtime.images.layertar import TreeTar
from runtime.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, machine_architecture
from runtime.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.images.compression import Readable
    from runtime.images.layers import Layer, Progress
    from runtime.images.records import Image
    from runtime.images.store import ImageStore


def import_rootfs(
    store: ImageStore,
    source: str,
    reference: str,
    changes: Sequence[str] = (),
    *,
    stream: Readable | None = None,
    total: int = 0,
    message: str = "",
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Image:
    """Import the tar file or directory `source` under the name `reference` (may be empty).

    With `stream` the tar is read from there to its end, `source` is what messages call it and `total` its size in bytes
    (0: unknown). `changes` are Dockerfile instructions. Raises NotFound, InvalidParameter, OSError; then nothing is
    registered.
    """
    names = [str(parse(reference).tagged())] if reference else []
    config = instructions.apply({}, changes)
    store.prepare()
    if stream is None and not os.path.exists(source):
        raise NotFound(f"import source {source}: no such file or directory", path=source)
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        if stream is not None:
            layer = _from_archive(stream, total, work, progress)
        elif os.path.isdir(source):
            layer = _from_directory(store, source, work, progress, warn)
        else:
            with open(source, "rb") as file:
                layer = _from_archive(file, os.fstat(file.fileno()).st_size, work, progress)
        chain = layer.diff_id.removeprefix("sha256:")
        layers.keep(store, layer, chain)
        document = _document(config, layer.diff_id, message or f"imported from {os.path.basename(source)}")
        descriptor = store.content.put_json(document, OCI_CONFIG)
        manifest = manifest_of(descriptor, [Descriptor(mediaType=OCI_LAYER, digest=layer.diff_id, size=layer.tar_size)])
        return store.register(
            config=descriptor,
            manifest=store.content.put_json(manifest, OCI_MANIFEST),
            layers=[chain],
            size=layer.size,
            references=names,
        )


def manifest_of(config: Descriptor, layer_descriptors: list[Descriptor]) -> dict[str, Any]:
    """An OCI image manifest."""
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layer_descriptors}


def now() -> str:
    """The time as RFC 3339 with nanoseconds, UTC."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


def _from_directory(
    store: ImageStore, source: str, work: str, progress: Progress | None, warn: Callable[[str], None] | None
) -> Layer:
    if os.path.realpath(store.root).startswith(os.path.realpath(source).rstrip("/") + "/"):
        raise InvalidParameter(f"import source {source}: contains the image store itself")

    def skipped(name: str, why: str) -> None:
        if warn is not None:
            warn(f"{name}: {why}, not imported")

    def report(written: int) -> None:
        if progress is not None:
            progress("copying", written, 0)

    with io.BufferedReader(TreeTar(source, overlay=False, skipped=skipped), CHUNK) as stream:
        return layers.unpack(stream, work, lowers=[], progress=report)


def _from_archive(source: Readable, total: int, work: str, progress: Progress | None) -> Layer:
    counted = Counted(source)

    def report(_written: int) -> None:
        if progress is not None:
            progress("unpacking", counted.size, total)

    plain, _ = decompressed(counted)
    layer = layers.unpack(plain, work, lowers=[], progress=report)
    # padding behind the archive: whoever writes it shall not meet a closed pipe
    while counted.read(CHUNK):
        pass
    return layers.redigest(layer)


def _document(config: dict[str, Any], diff_id: str, comment: str) -> dict[str, Any]:
    created = now()
    return {
        "created": created,
        "architecture": machine_architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "comment": comment}],
    }
