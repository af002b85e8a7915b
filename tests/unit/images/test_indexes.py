"""Names that stand for an index of several platforms: who gets it, what it needs, what becomes of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.images import indexes, removal
from runtime.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, chain_ids, digest_of
from runtime.images.platform import Platform
from runtime.images.store import ImageStore
from runtime.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.records import Image

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    made = ImageStore(Paths(str(tmp_path / "data"), str(tmp_path / "run")))
    made.prepare()
    return made


def manifest(store: ImageStore, platform: Platform) -> tuple[Descriptor, Descriptor, str]:
    """Configuration, manifest and chain id of an image with one layer."""
    diff_id = digest_of(platform.architecture.encode())
    [chain] = chain_ids([diff_id])
    os.makedirs(store.layer_dir(chain), exist_ok=True)
    config = store.content.put_json(
        {"os": "linux", "architecture": platform.architecture, "rootfs": {"type": "layers", "diff_ids": [diff_id]}},
        OCI_CONFIG,
    )
    layer = Descriptor(mediaType=OCI_LAYER, digest=diff_id, size=5)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
    return config, store.content.put_json(document, OCI_MANIFEST), chain


def both(store: ImageStore, name: str) -> tuple[Image, str, str]:
    """An image for both platforms; it, the digest of the index, and the chain of the other's layer."""
    config, own, chain = manifest(store, AMD)
    _, other, foreign = manifest(store, ARM)
    index = indexes.put(store.content, [indexes.entry(own, AMD), indexes.entry(other, ARM)])["digest"]
    image = store.register(config=config, manifest=own, layers=[chain], size=1, references=[name], index=index)
    return image, index, foreign


def test_a_name_leads_to_the_image_for_the_platform_that_is_wanted(store: ImageStore) -> None:
    image, _, foreign = both(store, "app:1")
    assert store.for_platform("app:1", AMD).id == image.id
    found = store.for_platform("app:1", ARM)
    assert found.architecture == "arm64"
    assert found.layers == (foreign,)
    assert store.resolve("app:1").id == image.id


def test_what_an_index_lists_is_kept_as_long_as_a_name_stands_for_it(store: ImageStore) -> None:
    _, index, foreign = both(store, "app:1")
    removal.collect(store)
    assert store.has_layer(foreign)
    assert store.content.has(index)
    removal.remove(store, "app:1")
    assert not store.has_layer(foreign)
    assert store.content.list() == []


def test_a_new_tag_takes_the_index_along_but_one_by_id_does_not(store: ImageStore) -> None:
    image, index, _ = both(store, "app:1")
    store.tag("app:1", "app:2")
    store.tag(image.id, "app:3")
    found = store.resolve("app:1").indexes
    assert found == {"docker.io/library/app:1": index, "docker.io/library/app:2": index}


def test_a_name_that_is_built_for_one_platform_loses_its_index(store: ImageStore) -> None:
    image, _, foreign = both(store, "app:1")
    config, own, chain = manifest(store, AMD)
    store.register(config=config, manifest=own, layers=[chain], size=1, references=["app:1"])
    assert store.resolve("app:1").id == image.id
    assert store.resolve("app:1").indexes == {}
    removal.collect(store)
    assert not store.has_layer(foreign)


def test_a_repacked_index_takes_the_place_of_the_old_one(store: ImageStore) -> None:
    image, index, _ = both(store, "app:1")
    other = indexes.put(store.content, [])["digest"]
    store.reindex(image.id, index, other)
    assert store.resolve("app:1").indexes == {"docker.io/library/app:1": other}
