"""Pull an image: its layers are downloaded and unpacked side by side, each while it still arrives.

Nothing counts before it is verified: a layer enters the store when blob, uncompressed content and configuration agree,
the image when all of it has. What a failed pull had finished stays for the next one until content is collected.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, InvalidParameter
from runtime.images import layers, workspace
from runtime.images import platform as platforms
from runtime.images.manifest import MAX_DOCUMENT, chain_ids, check_config, decode
from runtime.images.partial import Claims, expire
from runtime.images.registry.download import Download
from runtime.images.registry.hosts import endpoints
from runtime.images.registry.repository import Found, Repository
from runtime.images.registry.session import Session
from runtime.images.registry.transport import STALL_TIMEOUT, Transport
from runtime.images.registry.unpacking import Unpackers
from runtime.images.unpack import lend

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from runtime.images.layers import Layer
    from runtime.images.manifest import Descriptor
    from runtime.images.platform import Platform
    from runtime.images.records import Image
    from runtime.images.reference import Reference
    from runtime.images.registry.unpacking import Unpack
    from runtime.images.store import ImageStore
    from runtime.wire.registries import Access

PARALLEL: Final = 4
"""Downloads at a time."""


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """`digest` is that of what the reference named; `changed`: whether the name leads to another image than before."""

    image: Image
    digest: str
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to pull and how."""

    reference: Reference
    platform: Platform
    named: bool = True
    """Whether the image is to have the reference's name here, which may be another platform's."""
    access: Access = field(default_factory=dict)  # type: ignore[assignment]


def pull_image(store: ImageStore, asked: Asked, *, progress: Callable[[str, str, int, int], None]) -> Pulled:
    """Pull `asked.reference`; raises EngineError or OSError and leaves what was there under that name.

    `progress(layer, text, current, total)`; an empty layer speaks of the image.
    """
    transport = make_transport(asked.access)
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        expire(store.root)
        try:
            repository, found = find(asked, transport)
            return _Pull(store, work, repository, found, asked, progress).run()
        finally:
            transport.close()


def resolve_digest(asked: Asked) -> str:
    """The digest that a reference stands for in its registry now; raises EngineError."""
    transport = make_transport(asked.access)
    try:
        return str(first_that_answers(asked, transport, lambda repository: repository.digest())[1])
    finally:
        transport.close()


def entries(asked: Asked) -> list[dict[str, Any]]:
    """The entries of the index that a reference stands for in its registry; none of an image. Raises EngineError."""
    transport = make_transport(asked.access)
    reference = asked.reference
    name = reference.digest or reference.tag or "latest"
    try:
        _, document = first_that_answers(asked, transport, lambda repository: repository.document(name))
    finally:
        transport.close()
    found = document.content.get("manifests")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def list_tags(asked: Asked) -> list[str]:
    """All tags of a repository; raises EngineError."""
    transport = make_transport(asked.access)
    try:
        return list(first_that_answers(asked, transport, lambda repository: repository.tags())[1])
    finally:
        transport.close()


def make_transport(access: Access) -> Transport:
    """The connections that a job uses."""
    return Transport(access.get("surroundings", {}), stall=float(access.get("stall") or STALL_TIMEOUT))


def find(asked: Asked, transport: Transport) -> tuple[Repository, Found]:
    """The image's manifest, from the first endpoint that has it."""
    return first_that_answers(asked, transport, lambda repository: repository.resolve(asked.platform))


def first_that_answers(asked: Asked, transport: Transport, ask: Callable[[Repository], Any]) -> tuple[Repository, Any]:
    """What `ask` gets from the first endpoint that answers: mirrors may fail. Raises EngineError."""
    auth = asked.access.get("auth", {})
    for endpoint in endpoints(asked.reference, asked.access.get("registries", {})):
        repository = Repository(Session(endpoint, asked.reference, auth.get(endpoint.name, {}), transport))
        try:
            return repository, ask(repository)
        except EngineError:
            if not endpoint.mirror:
                raise
    raise InvalidParameter(f"image {asked.reference.familiar}: no registry to ask")


class _Pull:
    def __init__(
        self,
        store: ImageStore,
        work: str,
        repository: Repository,
        found: Found,
        asked: Asked,
        progress: Callable[[str, str, int, int], None],
    ) -> None:
        self._store = store
        self._work = work
        self._repository = repository
        self._found = found
        self._asked = asked
        self._progress = progress
        self._name = asked.reference.familiar
        self._claims = Claims(store.root)

    def run(self) -> Pulled:
        found, store = self._found, self._store
        config = self._config()
        diff_ids = check_config(decode(config, f"image {self._name}"), f"image {self._name}", len(found.layers))
        check_platform(decode(config, self._name), self._asked)
        chains = chain_ids(diff_ids)
        before = self._current()
        try:
            self._fetch(diff_ids, chains)
        finally:
            self._claims.close()
        size = sum(int(layers.record(store, chain).get("size", 0)) for chain in chains)
        manifest = store.content.put(found.manifest.data, found.manifest.media_type)
        store.content.put(config, found.config["mediaType"])
        reference = self._asked.reference
        names = [*([] if reference.digest else [str(reference)]), f"{reference.name}@{found.digest}"]
        image = store.register(
            config=found.config,
            manifest=manifest,
            layers=chains,
            size=size,
            references=names if self._asked.named else [],
        )
        return Pulled(image=image, digest=found.digest, changed=before != image.id)

    def _config(self) -> bytes:
        digest = self._found.config["digest"]
        if self._found.config["size"] > MAX_DOCUMENT or not self._store.content.has(digest):
            return self._repository.blob(self._found.config)
        return self._store.content.read(digest)

    def _current(self) -> str:
        try:
            return self._store.resolve(str(self._asked.reference)).id
        except EngineError:
            return ""

    def _fetch(self, diff_ids: list[str], chains: list[str]) -> None:
        """Bring all layers into the store, the lower ones first."""
        blobs = self._found.layers
        downloads = self._downloads(chains)
        wanted = [number for number, blob in enumerate(blobs) if blob["digest"] in downloads]
        below: list[int] = []
        with (
            ThreadPoolExecutor(PARALLEL, "download") as threads,
            Unpackers(self._work, [blobs[number] for number in wanted]) as unpackers,
            ThreadPoolExecutor(1, "keep") as keeper,
        ):
            for download in downloads.values():
                threads.submit(download.run)
            try:
                coming = {number: self._begin(number, downloads, chains, unpackers) for number in wanted}
                kept = []
                for number, blob in enumerate(blobs):
                    done = self._finished(number, coming[number], diff_ids, below) if number in coming else None
                    directory = self._store.layer_dir(chains[number]) if done is None else f"{done.directory}/diff"
                    # by descriptor, as keeping it gives it another name while it is looked at
                    below.append(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
                    if done is not None:
                        kept.append(keeper.submit(self._keep, done, blob, chains[number]))
                for each in kept:
                    each.result()
            except BaseException as error:
                for download in downloads.values():
                    download.cancel(error)
                threads.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                for fd in below:
                    os.close(fd)

    def _downloads(self, chains: list[str]) -> dict[str, Download]:
        """What brings the blobs here of which something is needed."""
        store, found = self._store, self._found.layers
        downloads: dict[str, Download] = {}
        there = []
        for blob, chain in zip(found, chains, strict=True):
            digest = blob["digest"]
            if store.has_layer(chain) and (
                store.content.has(digest) or layers.record(store, chain).get("diff_id") == digest
            ):
                there.append(blob)
            elif digest not in downloads:
                self._progress(short_id(blob), "Pulling fs layer", 0, 0)
                downloads[digest] = self._download(blob)
        for blob in there if downloads else ():
            self._progress(short_id(blob), "Already exists", 0, 0)
        return downloads

    def _download(self, blob: Descriptor) -> Download:
        def report(text: str, current: int, total: int) -> None:
            self._progress(short_id(blob), text, current, total)

        name = f"image {self._name}: layer {blob['digest']}"
        return Download(self._store.content, self._repository, blob, progress=report, name=name)

    def _begin(
        self, number: int, downloads: dict[str, Download], chains: list[str], unpackers: Unpackers
    ) -> tuple[Download, Future[Layer | None]]:
        """Have a layer unpacked as it arrives."""
        blob, chain = self._found.layers[number], chains[number]
        download = downloads[blob["digest"]]

        def work(unpack: Unpack) -> Layer | None:
            self._claims.take(chain, lambda: self._progress(short_id(blob), "Waiting for another pull", 0, 0))
            if self._store.has_layer(chain):
                self._claims.release(chain)
                return None
            source = download.open()

            def report() -> None:
                if download.finished:
                    self._progress(short_id(blob), "Extracting", source.position, blob["size"])

            try:
                return unpack(source, report)
            finally:
                source.close()

        return download, unpackers.submit(work)

    def _finished(
        self, number: int, coming: tuple[Download, Future[Layer | None]], diff_ids: list[str], below: list[int]
    ) -> Layer | None:
        """The layer, unpacked and verified; None if the store has it."""
        blob, diff_id = self._found.layers[number], diff_ids[number]
        download, unpacking = coming
        try:
            layer = unpacking.result()
        except EngineError:
            download.wait()  # what is wrong with the download explains more than what became of it
            raise
        download.wait()
        if layer is None:
            self._progress(short_id(blob), "Pull complete", 0, 0)
            return None
        if layer.diff_id != diff_id:
            raise InvalidParameter(
                f"image {self._name}: layer {blob['digest']}: verification failed, its content is {layer.diff_id}, "
                f"not {diff_id} as the image configuration says"
            )
        lend(f"{layer.directory}/diff", layer.implied, [f"/proc/self/fd/{fd}" for fd in reversed(below)])
        return layer

    def _keep(self, layer: Layer, blob: Descriptor, chain: str) -> None:
        layers.keep(self._store, layer, chain)
        self._claims.release(chain)
        self._progress(short_id(blob), "Pull complete", 0, 0)


def check_platform(document: dict[str, Any], asked: Asked) -> None:
    """Raises InvalidParameter if the image is for another platform than was asked for."""
    actual = platforms.of_config(document)
    if actual is None or platforms.runs(actual, asked.platform):
        return
    raise InvalidParameter(
        f"image with reference {asked.reference.familiar} was found but does not match the specified platform: "
        f"wanted {asked.platform}, actual: {actual}",
        image=asked.reference.familiar,
    )


def short_id(blob: Descriptor) -> str:
    """The twelve digits that stand for a layer in progress lines."""
    return os.path.basename(blob["digest"].partition(":")[2])[:12]
