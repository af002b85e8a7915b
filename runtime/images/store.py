"""Images by name and id: resolve, tag, list, untag. Readers take no lock; writers one that lasts milliseconds.

A tag is set on its new image before it is taken from the old one, and the later setting counts: at no moment, also not
after a crash in between, does a name lead nowhere.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import Conflict, EngineError, Forbidden, InvalidParameter, NotFound
from runtime.images import hostlayer, indexes, workspace
from runtime.images import platform as platforms
from runtime.images.content import ContentStore
from runtime.images.manifest import OCI_INDEX, OCI_MANIFEST, check_manifest
from runtime.images.records import Image, Records, host_image
from runtime.images.reference import Reference, is_image_id, parse
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.images.manifest import Descriptor
    from runtime.images.platform import Platform
    from runtime.paths import Paths

_PREFIX: Final = re.compile(r"(?:sha256:)?([a-f0-9]{2,64})")

# inside the class `list` is its method
_Images = list[Image]
_Tagged = list[tuple[Image, dict[str, str]]]
_References = list[Reference]
_Strings = list[str]
_Objects = list[dict[str, Any]]


class ImageStore:
    """The images below `paths.images`, and the built-in one."""

    def __init__(self, paths: Paths) -> None:
        self.root = paths.images
        self.trash = paths.trash
        self.content = ContentStore(self.root)
        self._records = Records(f"{self.root}/records", self.content)

    def prepare(self) -> None:
        """Make the store's directories where they are missing; raises OSError."""
        for directory in (self.root, self._records.directory, f"{self.root}/layers", f"{self.root}/tmp", self.trash):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self.content.prepare()

    @property
    def problems(self) -> _Strings:
        """What was found damaged and set aside, in words."""
        return list(self._records.problems.values())

    def list(self) -> _Images:
        """All images, the newest first; the built-in one is the last."""
        images = [image for image, _ in self._current()]
        return [*sorted(images, key=lambda image: image.created, reverse=True), host_image()]

    def resolve(self, text: str) -> Image:
        """The image that a reference, an id or the beginning of an id names.

        Raises NotFound, InvalidParameter for what cannot be a name, Conflict for an ambiguous id.
        """
        return self._find(text, self.list())[0]

    def for_platform(self, text: str, wanted: Platform) -> Image:
        """As resolve, but of a name that stands for several platforms the image that is for `wanted`, if there is one."""
        image, named = self.find(text)
        index = image.indexes.get(str(named), "")
        for member, each in indexes.images(self.content, image, index) if index else ():
            if member.platform is not None and platforms.runs(member.platform, wanted):
                return each
        return image

    def layer_dirs(self, image: Image) -> _Strings:
        """The directories of the unpacked layers, top first; where `image.on_host` the host's layer goes below."""
        return [self.layer_dir(chain) for chain in reversed(image.layers)]

    def layer_dir(self, chain: str) -> str:
        """Where the layer with this chain id is unpacked."""
        return f"{self.root}/layers/{chain}/diff"

    def tag(self, text: str, reference: str) -> Image:
        """Give an image one more name, taking it from whichever image had it."""
        name = _taggable(reference)
        if name.digest:
            raise InvalidParameter(f"tag {reference}: refusing to create a tag with a digest reference")
        self.prepare()
        with workspace.index_lock(self.root):
            image, named = self.find(text)
            if image.id == hostlayer.image_id():
                raise Forbidden(f"image {hostlayer.REFERENCE}: is built in and cannot be tagged")
            self._retag(image, [name], image.indexes.get(str(named), ""))
        return self.resolve(str(name))

    def name(self, image: Image, reference: str, index: str = "") -> None:
        """Give an image a name that stands for `index`, if that is not empty; raises OSError or EngineError."""
        with workspace.index_lock(self.root):
            self._retag(image, [_taggable(reference)], index)

    def register(
        self,
        *,
        config: Descriptor,
        manifest: Descriptor,
        layers: _Strings,
        size: int,
        references: _Strings,
        on_host: bool = False,
        index: str = "",
    ) -> Image:
        """Make an image of a configuration and a manifest in the content store and of layers already unpacked.

        `index`: the digest of the index of several platforms that the references stand for, in the content store.
        Registering the same image again only adds references. Raises OSError or EngineError and registers nothing then.
        """
        names = [_taggable(reference) for reference in references]
        document = self.content.read_json(config["digest"])
        image = Image(
            id=config["digest"],
            references=(),
            document=document,
            manifest_digest=manifest["digest"],
            created=str(document.get("created") or "1970-01-01T00:00:00Z"),
            size=size,
            layers=tuple(layers),
            on_host=on_host,
        )
        with workspace.index_lock(self.root):
            self._retag(image, names, index)
        return self._find(image.id, self.list())[0]

    def find(self, text: str) -> tuple[Image, Reference | None]:
        """What resolve finds, and the reference if `text` is one of the image's names. Raises as resolve does."""
        return self._find(text, self.list())

    def untag(self, image: Image, references: Collection[str]) -> None:
        """Take names from an image, which stays; the caller holds the index lock."""
        tags = next(tags for other, tags in self._records.read() if other.id == image.id)
        self._records.write(image, {name: at for name, at in tags.items() if name not in references})
        self._write_index()

    def forget(self, image: Image, *, keep: bool) -> None:
        """Drop an image with all its names; with `keep` its containers still find it. The caller holds the index lock."""
        (self._records.hold if keep else self._records.delete)(image.id)
        self._write_index()

    def held(self, image_id: str) -> Image | None:
        """An image that was removed under its containers."""
        return self._records.held(image_id)

    def release(self, users: Collection[str]) -> _Images | None:
        """Forget the held images whose ids are not in `users`; those that stay, None if one of them cannot be read.

        The caller holds the index lock.
        """
        present = {image.id for image, _ in self._records.read()}
        kept = []
        for image_id in self._records.held_ids():
            if image_id in users and image_id not in present:
                kept.append(self._records.held(image_id))
            else:
                self._records.release(image_id)
        found = [image for image in kept if image is not None]
        return found if len(found) == len(kept) else None

    @property
    def is_damaged(self) -> bool:
        """Whether an unreadable record lies about, so that nobody knows what it needs."""
        return self._records.damaged()

    def add_layer(self, prepared: str, chain: str) -> None:
        """Take in an unpacked layer: `prepared`/diff becomes the directory of `chain`, unless that exists already."""
        try:
            os.rename(prepared, f"{self.root}/layers/{chain}")
        except OSError:
            if not self.has_layer(chain):
                raise
            return
        atomicfile.sync_directory(f"{self.root}/layers")

    def has_layer(self, chain: str) -> bool:
        """Whether the layer is unpacked."""
        return os.path.isdir(self.layer_dir(chain))

    def reindex(self, image_id: str, old: str, new: str) -> None:
        """Have the names of an image that stand for the index `old` stand for `new`: the same images, packed otherwise."""
        with workspace.index_lock(self.root):
            for image, tags in self._records.read():
                if image.id == image_id and old in image.indexes.values():
                    stand_for = {name: new if digest == old else digest for name, digest in image.indexes.items()}
                    self._records.write(replace(image, indexes=stand_for), tags)

    def blobs_of(self, image: Image) -> _Strings:
        """The digests of all blobs that belong to an image, its configuration and manifest among them."""
        digests = [image.id, image.manifest_digest, *indexes.needs(self.content, image)[0]]
        try:
            _, layers = check_manifest(self.content.read_json(image.manifest_digest), f"image {image.id}")
        except EngineError:
            return digests
        return digests + [layer["digest"] for layer in layers]

    def _current(self) -> _Tagged:
        """The records, each name only with the image that had it last."""
        records = self._records.read()
        latest: dict[str, str] = {}
        for _, tags in records:
            for name, at in tags.items():
                latest[name] = max(at, latest.get(name, ""))
        current = []
        for image, tags in records:
            kept = {name: at for name, at in tags.items() if latest[name] == at}
            current.append((image if len(kept) == len(tags) else _with_references(image, kept), kept))
        return current

    def _find(self, text: str, images: _Images) -> tuple[Image, Reference | None]:
        """The image and, if it was named by one of its references, that one."""
        if is_image_id(text):
            digest = f"sha256:{text.removeprefix('sha256:')}"
            for image in images:
                if image.id == digest:
                    return image, None
            raise NotFound(f"no such image: {text}", image=text)
        prefix = _PREFIX.fullmatch(text)
        if not text.startswith("sha256:"):
            reference = parse(text).tagged()
            for image in images:
                if str(reference) in image.references:
                    return image, reference
                if reference.digest and _has_digest(image, reference):
                    return image, None
        matches = [image for image in images if prefix and image.id.startswith(f"sha256:{prefix[1]}")]
        if len(matches) > 1:
            raise Conflict(f"image {text}: the id is ambiguous", image=text)
        if not matches:
            shown = text if text.startswith("sha256:") else parse(text).tagged().familiar
            raise NotFound(f"no such image: {shown}", image=text)
        return matches[0], None

    def _retag(self, image: Image, names: _References, index: str = "") -> None:
        """Write the record of `image` with its old names and `names`, then take those from all others."""
        records = self._records.read()
        now = _now()
        before, kept = next(((other, tags) for other, tags in records if other.id == image.id), (image, {}))
        mine = kept | {str(name): now for name in names}
        given = {str(name): index for name in names}
        stand_for = {name: digest for name, digest in {**before.indexes, **given}.items() if digest}
        self._records.write(replace(image, indexes=stand_for), mine)
        for other, tags in records:
            left = {name: at for name, at in tags.items() if name not in mine}
            if other.id != image.id and len(left) != len(tags):
                self._records.write(other, left)
        self._write_index()

    def _write_index(self) -> None:
        """The OCI layout's list of names, for other tools; it is derived from the records and may be lost."""
        manifests: _Objects = []
        for image, tags in self._current():
            entry = {"mediaType": OCI_MANIFEST, "digest": image.manifest_digest}
            try:
                size = os.path.getsize(self.content.path(image.manifest_digest))
            except (OSError, EngineError):
                continue
            names = sorted(name for name in tags if "@" not in name) or [""]
            manifests += [
                entry | {"size": size} | ({"annotations": {"org.opencontainers.image.ref.name": name}} if name else {})
                for name in names
            ]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
        atomicfile.write_json(f"{self.root}/index.json", document)


def _taggable(text: str) -> Reference:
    reference = parse(text).tagged()
    if str(reference) == hostlayer.REFERENCE:
        raise Forbidden(f"image {hostlayer.REFERENCE}: is built in and its name cannot be given away")
    if reference.digest:
        return Reference(domain=reference.domain, path=reference.path, digest=reference.digest)
    return Reference(domain=reference.domain, path=reference.path, tag=reference.tag)


def _has_digest(image: Image, reference: Reference) -> bool:
    if f"{reference.name}@{reference.digest}" in image.references:
        return True
    mine = {image.manifest_digest, *image.indexes.values()}
    return reference.digest in mine and any(parse(name).name == reference.name for name in image.references)


def _with_references(image: Image, tags: dict[str, str]) -> Image:
    return replace(image, references=tuple(sorted(tags)), tagged_at=max(tags.values(), default=""))


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"
