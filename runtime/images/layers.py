"""Bring layers from streams to `layers/<chain id>/diff`, verified, durable, and all at once or not at all."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter, NotFound
from runtime.images.compression import CHUNK, decompressed
from runtime.images.content import Hashing
from runtime.images.layertar import TreeTar
from runtime.images.manifest import Descriptor, chain_ids
from runtime.images.unpack import unpack_layer
from runtime.linux import atomicfile
from runtime.linux.syncfs import syncfs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from runtime.images.compression import Readable
    from runtime.images.store import ImageStore

    Progress = Callable[[str, int, int], None]
    """Text, bytes so far, bytes in all (0: unknown)."""


class Layer:
    """An unpacked layer that is not in the store yet."""

    def __init__(self, directory: str, diff_id: str, tar_size: int, size: int, implied: tuple[bytes, ...] = ()) -> None:
        """`implied`: see runtime.images.unpack.Unpacked."""
        self.implied = implied
        self.directory = directory
        self.diff_id = diff_id
        self.tar_size = tar_size
        self.size = size


def unpack(stream: Readable, work: str, *, lowers: list[str], progress: Callable[[int], None] | None = None) -> Layer:
    """Unpack a plain tar stream into a new directory of the workspace `work`; raises InvalidParameter, OSError."""
    directory = make_directory(work)
    hashing = Hashing(stream)
    done = unpack_layer(hashing, f"{directory}/diff", lowers=lowers, progress=progress)
    return Layer(directory, hashing.digest, hashing.size, done.size, done.implied)


def make_directory(work: str) -> str:
    """A new directory for a layer, with the empty root of its tree in it; raises OSError."""
    directory = f"{work}/layer-{os.urandom(6).hex()}"
    os.mkdir(directory, 0o700)
    os.mkdir(f"{directory}/diff", 0o755)
    return directory


def redigest(layer: Layer) -> Layer:
    """The layer under the digest of our own stream of it, so that no copy of the original need be kept."""
    with io.BufferedReader(TreeTar(f"{layer.directory}/diff"), CHUNK) as stream:
        hashing = Hashing(stream)
        while hashing.read(CHUNK):
            pass
    return Layer(layer.directory, hashing.digest, hashing.size, layer.size, layer.implied)


def keep(store: ImageStore, layer: Layer, chain: str) -> None:
    """Make a layer part of the store under its chain id; raises OSError."""
    record = {"version": 1, "diff_id": layer.diff_id, "tar_size": layer.tar_size, "size": layer.size}
    atomicfile.write_json(f"{layer.directory}/layer.json", record)
    syncfs(layer.directory)
    store.add_layer(layer.directory, chain)


def ensure(
    store: ImageStore,
    work: str,
    blobs: list[Descriptor],
    diff_ids: list[str],
    *,
    base: str = "",
    progress: Progress | None = None,
) -> tuple[list[str], int]:
    """Unpack the layers `blobs` (bottom first) that are not unpacked yet; their chain ids and size in all.

    Raises InvalidParameter when a layer is not what the image configuration promises, NotFound for a missing blob.
    """
    chains = chain_ids(diff_ids, base)
    size = 0
    for number, (blob, diff_id, chain) in enumerate(zip(blobs, diff_ids, chains, strict=True)):
        if not store.has_layer(chain):
            lowers = [store.layer_dir(below) for below in reversed(chains[:number])]
            with store.content.open(blob["digest"]) as file:
                total = os.fstat(file.fileno()).st_size
                plain, _ = decompressed(file)
                layer = unpack(plain, work, lowers=lowers, progress=_report(progress, file, chain, total))
            if layer.diff_id != diff_id:
                raise InvalidParameter(
                    f"layer {blob['digest']}: verification failed, its content is {layer.diff_id}, not {diff_id}"
                )
            keep(store, layer, chain)
        size += int(record(store, chain).get("size", 0))
    return chains, size


def record(store: ImageStore, chain: str) -> dict[str, Any]:
    """What was noted about an unpacked layer (`diff_id`, `tar_size`, `size`); empty if that cannot be read."""
    try:
        found = atomicfile.read_json(os.path.join(os.path.dirname(store.layer_dir(chain)), "layer.json"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def open_layer(store: ImageStore, blob: Descriptor, chain: str) -> io.BufferedReader | BinaryIO:
    """The layer as the manifest has it: the blob, or where none was kept the stream made anew from the directory.

    Raises NotFound if there is neither. Whoever reads it must check the digest, as the directory may have been changed.
    """
    try:
        return store.content.open(blob["digest"])
    except NotFound:
        if not store.has_layer(chain) or record(store, chain).get("diff_id") != blob["digest"]:
            raise
        return io.BufferedReader(TreeTar(store.layer_dir(chain)), CHUNK)


def _report(progress: Progress | None, file: BinaryIO, chain: str, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda _written: progress(f"unpacking layer {chain[:12]}", file.tell(), total)
