"""Turn a finished stage into an image in the store, and into a directory or an archive where that was asked for.

Times of history entries are filled in as BuildKit does, from the steps themselves: an unchanged build gives the same
image, byte for byte.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.build import caches
from runtime.build.bases import STEPS
from runtime.build.copying import Writer
from runtime.build.entrycopy import How
from runtime.build.session import now, rfc3339
from runtime.build.trees import Tree
from runtime.errors import EngineError, InvalidParameter, NotFound, NotSupported
from runtime.images import indexes, layout
from runtime.images import platform as platforms
from runtime.images.archive import manifest_of
from runtime.images.layertar import TreeTar
from runtime.images.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    decode,
    is_index,
)
from runtime.images.reference import parse
from runtime.images.save import save_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.build.progress import Vertex
    from runtime.build.request import Output
    from runtime.build.session import Session
    from runtime.build.stagebuild import State
    from runtime.images.platform import Platform
    from runtime.images.records import Image


class Built(NamedTuple):
    """What was built for one platform: the target stage, and all stages that were built for it."""

    platform: Platform
    state: State
    stages: Sequence[State]


class Result(NamedTuple):
    """The image, None if only files were asked for, and the descriptor of what its name stands for: a manifest or an index."""

    image: Image | None
    descriptor: Mapping[str, Any] = {}


def export(session: Session, built: Sequence[Built]) -> Result:
    """Write the result. Raises OSError, EngineError."""
    request = session.request
    for output in request.outputs:
        if output.is_files:
            _export_files(session, built, output)
    if request.outputs and all(output.is_files for output in request.outputs):
        return Result(None)
    vertex = session.progress.vertex("exporting to image")
    session.snapshots.settle()
    vertex.status("exporting layers", done=True)
    tags = [str(parse(tag).tagged()) for tag in request.tags]
    image = _image(session, built, tags, vertex)
    vertex.status(f"writing image {image.id}", done=True)
    for tag in tags:
        vertex.status(f"naming to {tag}", done=True)
    vertex.done()
    for output in request.outputs:
        if not output.is_files and output.type != "image":
            _write_image(session, image, tags, output)
    if request.cache_to:
        _export_caches(session, built, image)
    if request.push:
        image = _push(session, image, tags)
    index = image.indexes.get(tags[0], "") if tags else ""
    return Result(image, descriptor(session, index or image.manifest_digest))


def _image(session: Session, built: Sequence[Built], tags: list[str], vertex: Vertex) -> Image:
    """The image in the store; of several platforms this machine's, or else the first, under an index of all."""
    inline = caches.is_inline(session)
    if len(built) == 1:
        return _register(session, built[0].state, tags, inline=inline)
    written = [(each, *_write(session, each.state, inline=inline)) for each in built]
    index = indexes.put(
        session.store.content, [indexes.entry(manifest, each.platform) for each, _, manifest in written]
    )
    vertex.status(f"exporting manifest list {index['digest']}", done=True)
    local = platforms.local()
    first = min(written, key=lambda item: item[0].platform != local)
    return _record(session, first[0].state, first[1], first[2], tags, index["digest"])


def _register(session: Session, state: State, tags: list[str], *, inline: bool) -> Image:
    """The image of a finished stage in the store; `inline`: it says which steps made its layers."""
    config, manifest = _write(session, state, inline=inline)
    return _existing(session, config["digest"], tags) or _record(session, state, config, manifest, tags)


def _write(session: Session, state: State, *, inline: bool) -> tuple[Descriptor, Descriptor]:
    """Configuration and manifest of a finished stage, in the content store."""
    document = document_of(session, state)
    if inline:
        document[STEPS] = list(state.image.steps)
    content = session.store.content
    config = content.put_json(document, OCI_CONFIG)
    blobs = [
        Descriptor(mediaType=OCI_LAYER, digest=layer.diff_id, size=layer.tar_size) for layer in state.snapshot.layers
    ]
    return config, content.put_json(manifest_of(config, blobs), OCI_MANIFEST)


def _record(
    session: Session, state: State, config: Descriptor, manifest: Descriptor, tags: list[str], index: str = ""
) -> Image:
    layers = state.snapshot.layers
    return session.store.register(
        config=config,
        manifest=manifest,
        layers=[layer.chain for layer in layers],
        size=sum(layer.size for layer in layers),
        references=tags,
        on_host=state.snapshot.on_host,
        index=index,
    )


def _export_caches(session: Session, built: Sequence[Built], image: Image) -> None:
    cache = _register(session, built[0].state, [], inline=True)
    caches.give(session, cache, lambda: _stage_images(session, built))
    if cache.id != image.id:
        caches.forget(session, cache)


def _stage_images(session: Session, built: Sequence[Built]) -> list[dict[str, Any]]:
    """Entries of an index: an image for each stage, and each platform, whose layers say which steps made them."""
    found: dict[str, dict[str, Any]] = {}
    for each in built:
        for state in (each.state, *each.stages):
            if state.snapshot.layers and not state.snapshot.on_host:
                _, manifest = _write(session, state, inline=True)
                found.setdefault(manifest["digest"], indexes.entry(manifest, each.platform))
    return list(found.values())


def _write_image(session: Session, image: Image, tags: list[str], output: Output) -> None:
    vertex = session.progress.vertex(
        "exporting to " + ("docker" if output.type == "docker" else "oci") + " image format"
    )
    names = tags or [image.id]
    try:
        if output.type == "docker" and any(image.indexes.get(tag) for tag in tags):
            raise NotSupported("docker exporter does not currently support exporting manifest lists")
        if output.type == "layout":
            layout.write(session.store, image, output.dest, names[0], image.indexes.get(names[0], ""))
        else:
            save_images(session.store, names, output.dest)
    except EngineError as error:
        vertex.failed(error.message)
        raise
    vertex.status("sending tarball" if output.type != "layout" else "copying files", done=True)
    vertex.done()


def _push(session: Session, image: Image, tags: list[str]) -> Image:
    """Push all names, of which there is one at least; the image, which may have another manifest now."""
    for tag in tags:
        vertex = session.progress.vertex(f"pushing {parse(tag).familiar}")
        try:
            caches.push(session, tag, vertex)
        except EngineError as error:
            vertex.failed(error.message)
            raise
        vertex.done()
    return session.store.resolve(tags[0])


def descriptor(session: Session, digest: str) -> dict[str, Any]:
    """The descriptor of a manifest or an index of the content store."""
    data = session.store.content.read(digest)
    kind = OCI_INDEX if is_index(decode(data, digest), digest) else OCI_MANIFEST
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def _existing(session: Session, identity: str, tags: list[str]) -> Image | None:
    """The image if it is here under these names already: then nothing need be written, nor waited for."""
    try:
        found = session.store.resolve(identity)
    except NotFound:
        return None
    if any(found.indexes.get(tag) for tag in tags):
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


def _export_files(session: Session, built: Sequence[Built], output: Output) -> None:
    """The files of the result; of several platforms each has a directory of its own, as with BuildKit."""
    vertex = session.progress.vertex("exporting to client " + ("directory" if output.type == "local" else "tarball"))
    views = [session.snapshots.view(each.state.snapshot) for each in built]
    names = [str(each.platform).replace("/", "_") for each in built] if len(built) > 1 else [""]
    if output.type == "local":
        for view, name in zip(views, names, strict=True):
            _copy_files(view, f"{output.dest}/{name}" if name else output.dest)
    else:
        _write_tar(session, dict(zip(names, views, strict=True)), output.dest)
    vertex.status("copying files", done=True)
    vertex.done()
    session.snapshots.settle()


def _copy_files(view: str, dest: str) -> None:
    os.makedirs(dest, exist_ok=True)
    tree, writer = Tree(view), Writer(dest)
    try:
        writer.copy(tree, tree.select("/", wildcards=False), "/", How())
    finally:
        writer.close()
        tree.close()


def _write_tar(session: Session, views: Mapping[str, str], dest: str) -> None:
    """One archive of the files of all views; they are put below their names first where there are several."""
    if os.path.isdir(dest):
        raise InvalidParameter(f"output {dest}: is a directory")
    [source, *more] = views.values()
    if more:
        source = f"{session.work}/output"
        for name, view in views.items():
            _copy_files(view, f"{source}/{name}")
    temporary = f"{dest}.tmp-{os.getpid()}"
    try:
        with open(temporary, "xb") as file, TreeTar(source, overlay=False) as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
        os.rename(temporary, dest)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
