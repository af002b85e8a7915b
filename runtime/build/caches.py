"""Caches that other machines can use: images that say for each layer which step made it, by its cache key.

An image is a cache (`inline`), or one is written beside the result to a registry or to an OCI layout directory. What
cannot be had is told and otherwise as if it were empty: a cache only ever saves time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from runtime.build.bases import STEPS
from runtime.build.session import now
from runtime.errors import EngineError, InvalidParameter, NotSupported
from runtime.images import indexes, layers, layout, workspace
from runtime.images.buildcache import Step
from runtime.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.build.bases import Bases
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.images.records import Image
    from runtime.wire.registries import Access

_TYPES: Final = ("registry", "local", "inline")


class Place(NamedTuple):
    """Where a cache is: `where` is a reference or a directory, empty for inline. `all`: it has the steps of all stages."""

    type: str
    where: str
    all: bool = False


def parse_all(texts: Iterable[str], key: str) -> list[Place]:
    """`REFERENCE`, or `type=registry,ref=..`, `type=local,src|dest=..` (`key`), `type=inline`. Raises InvalidParameter."""
    places = []
    for text in texts:
        if "=" not in text:
            parse(text)
            places.append(Place("registry", text))
            continue
        fields = dict(item.partition("=")[::2] for item in text.split(","))
        kind = fields.get("type", "")
        if kind not in _TYPES:
            raise InvalidParameter(f'could not find cache of type "{kind}": there are {", ".join(_TYPES)}')
        where = fields.get("ref" if kind == "registry" else key, "")
        if kind != "inline" and not where:
            raise InvalidParameter(f"cache {text!r}: {'ref' if kind == 'registry' else key} is missing")
        mode = fields.get("mode", "min")
        if mode not in ("min", "max"):
            raise InvalidParameter(f"cache {text!r}: mode is min or max")
        places.append(Place(kind, where, mode == "max"))
    return places


def take(session: Session, bases: Bases) -> None:
    """Learn the steps of all caches that the request names."""
    known = {image.id for image in session.store.list()} if session.request.cache_from else set()
    for place in parse_all(session.request.cache_from, "src"):
        if place.type == "inline":
            continue
        vertex = session.progress.vertex(f"importing cache manifest from {place.where}")
        try:
            if place.type == "local":
                found = layout.read_all(session.store, session.work, place.where)
            else:
                found = bases.pulled(place.where, vertex)
            for image in found:
                bases.unpack(image)
                learn(session, image)
                if image.id not in known:
                    forget(session, image)
        except (EngineError, OSError) as error:
            vertex.failed(str(error))
            continue
        vertex.done()


def learn(session: Session, image: Image) -> None:
    """Note which step made which layer of an image, if it says so."""
    keys = image.document.get(STEPS)
    if not isinstance(keys, list) or len(keys) != len(image.layers):
        return
    history = [entry for entry in image.document.get("history") or () if not entry.get("empty_layer")]
    for number, (key, chain) in enumerate(zip(keys, image.layers, strict=True)):
        if not isinstance(key, str) or len(key) != 64 or not key.isalnum() or session.cache.get(key) is not None:
            continue
        record = layers.record(session.store, chain)
        entry: dict[str, Any] = history[number] if number < len(history) else {}
        session.cache.put(
            key,
            Step(
                chain=chain,
                diff_id=str(record.get("diff_id") or ""),
                tar_size=int(record.get("tar_size") or 0),
                size=int(record.get("size") or 0),
                created=str(entry.get("created") or now()),
                text=str(entry.get("created_by") or ""),
            ),
        )


def is_inline(session: Session) -> bool:
    """Whether the image itself is to be a cache."""
    return any(place.type == "inline" for place in parse_all(session.request.cache_to, "dest"))


def give(session: Session, image: Image, stages: Callable[[], list[dict[str, Any]]]) -> None:
    """Write `image`, which says what made its layers, to the caches that the request names.

    `stages` gives what an index of such images of all stages lists, for caches that are to have those.
    """
    for place in parse_all(session.request.cache_to, "dest"):
        if place.type == "inline":
            continue
        vertex = session.progress.vertex(f"exporting cache to {place.where}")
        try:
            if image.on_host:
                raise NotSupported("cache: holds this machine's own programs and means nothing elsewhere")
            index = indexes.put(session.store.content, stages())["digest"] if place.all else ""
            if place.type == "local":
                layout.write(session.store, image, place.where, "latest", index)
            else:
                session.store.name(image, str(parse(place.where).tagged()), index)
                push(session, place.where, vertex)
        except EngineError as error:
            vertex.failed(error.message)
            raise
        vertex.done()


def forget(session: Session, image: Image) -> None:
    """Drop an image that was made only to be written somewhere, if nobody calls it by a name."""
    with workspace.index_lock(session.store.root):
        found = session.store.resolve(image.id)
        if not found.references:
            session.store.forget(found, keep=False)


def push(session: Session, reference: str, vertex: Vertex) -> None:
    """Push what has that name in the store, with the steps' progress told by `vertex`. Raises EngineError, OSError."""
    from runtime.images.registry.push import push_image

    def progress(layer: str, text: str, current: int, total: int) -> None:
        session.check()
        vertex.status(f"{layer} {text}".strip())

    name = parse(reference).tagged()
    push_image(session.store, name, cast("Access", session.request.access), progress=progress)
