"""Turn a finished stage into an image in the store, and into a directory or an archive where that was asked for.

Times of history entries are filled in as BuildKit does, from the steps themselves: an unchanged build gives the same
image, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from runtime.build import caches
from runtime.build.bases import STEPS
from runtime.build.copying import Writer
from runtime.build.entrycopy import How
from runtime.build.session import now, rfc3339
from runtime.build.trees import Tree
from runtime.errors import InvalidParameter, NotFound
from runtime.images.archive import manifest_of
from runtime.images.layertar import TreeTar
from runtime.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from runtime.images.reference import parse

if TYPE_CHECKING:
    from runtime.build.request import Output
    from runtime.build.session import Session
    from runtime.build.stagebuild import State
    from runtime.images.records import Image


def export(session: Session, state: State) -> Image | None:
    """Write the result; the image, None if only files were asked for. Raises OSError, EngineError."""
    if session.request.outputs:
        for output in session.request.outputs:
            _export_files(session, state, output)
        return None
    vertex = session.progress.vertex("exporting to image")
    session.snapshots.settle()
    vertex.status("exporting layers", done=True)
    tags = [str(parse(tag).tagged()) for tag in session.request.tags]
    image = _register(session, state, tags, inline=caches.is_inline(session))
    vertex.status(f"writing image {image.id}", done=True)
    for tag in tags:
        vertex.status(f"naming to {tag}", done=True)
    vertex.done()
    if session.request.cache_to:
        cache = _register(session, state, [], inline=True)
        caches.give(session, cache)
        if cache.id != image.id:
            caches.forget(session, cache)
    return image


def _register(session: Session, state: State, tags: list[str], *, inline: bool) -> Image:
    """The image of a finished stage in the store; `inline`: it says which steps made its layers."""
    document = document_of(session, state)
    if inline:
        document[STEPS] = list(state.image.steps)
    content = session.store.content
    config = content.put_json(document, OCI_CONFIG)
    layers = state.snapshot.layers
    blobs = [Descriptor(mediaType=OCI_LAYER, digest=layer.diff_id, size=layer.tar_size) for layer in layers]
    existing = _existing(session, config["digest"], tags)
    return existing or session.store.register(
        config=config,
        manifest=content.put_json(manifest_of(config, blobs), OCI_MANIFEST),
        layers=[layer.chain for layer in layers],
        size=sum(layer.size for layer in layers),
        references=tags,
        on_host=state.snapshot.on_host,
    )


def _existing(session: Session, identity: str, tags: list[str]) -> Image | None:
    """The image if it is here under these names already: then nothing need be written, nor waited for."""
    try:
        found = session.store.resolve(identity)
    except NotFound:
        return None
    return found if set(tags) <= set(found.references) and all(map(session.store.has_layer, found.layers)) else None


def document_of(session: Session, state: State) -> dict[str, Any]:
    """The OCI image configuration of a finished stage."""
    image = state.image
    request = session.request
    history = [dict(entry) for entry in image.history]
    epoch = request.epoch
    if epoch is not None:
        for entry in history:
            entry.setdefault("created", rfc3339(epoch * 1_000_000_000))
    fill_times(history)
    config = dict(image.config)
    if request.labels:
        config["Labels"] = dict(config.get("Labels") or {}) | dict(request.labels)
    return {
        **image.document,
        "config": config,
        "created": _created(history),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in state.snapshot.layers]},
        "history": history,
    }


def fill_times(history: list[dict[str, Any]]) -> None:
    """Give entries without a time that of the first new layer, or else of the layer before them."""
    created = ""
    missing = False
    for entry in history:
        if entry.get("created"):
            created = entry["created"]
            if missing:
                break
        else:
            missing = True
    missing = False
    for entry in history:
        if entry.get("created"):
            if missing:
                created = entry["created"]
        else:
            missing = True
            if created:
                entry["created"] = created


def _created(history: list[dict[str, Any]]) -> str:
    times = [str(entry["created"]) for entry in history if entry.get("created")]
    return times[-1] if times else now()


def _export_files(session: Session, state: State, output: Output) -> None:
    vertex = session.progress.vertex("exporting to client " + ("directory" if output.type == "local" else "tarball"))
    view = session.snapshots.view(state.snapshot)
    if output.type == "local":
        os.makedirs(output.dest, exist_ok=True)
        tree, writer = Tree(view), Writer(output.dest)
        try:
            writer.copy(tree, tree.select("/", wildcards=False), "/", How())
        finally:
            writer.close()
            tree.close()
    else:
        _write_tar(view, output.dest)
    vertex.status("copying files", done=True)
    vertex.done()
    session.snapshots.settle()


def _write_tar(view: str, dest: str) -> None:
    if os.path.isdir(dest):
        raise InvalidParameter(f"output {dest}: is a directory")
    temporary = f"{dest}.tmp-{os.getpid()}"
    try:
        with open(temporary, "xb") as file, TreeTar(view, overlay=False) as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
        os.rename(temporary, dest)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
