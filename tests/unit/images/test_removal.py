"""Names that go, images that go with them, and what containers keep."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, Forbidden, NotFound
from runtime.images import removal, workspace
from runtime.images.archive import manifest_of
from runtime.images.buildcache import BuildCache
from runtime.images.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, chain_ids
from runtime.images.removal import User
from runtime.images.store import ImageStore
from runtime.linux import atomicfile
from runtime.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.records import Image

RUNNING = User("app-web-1", running=True)
STOPPED = User("app-job-1", running=False)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    made = ImageStore(Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run")))
    made.prepare()
    return made


def add(store: ImageStore, name: str, *references: str, label: str = "") -> Image:
    """An image of one layer of 7 bytes whose content is `name`."""
    blob = store.content.put(name.encode(), "layer")
    chain = chain_ids([blob["digest"]])
    with workspace.workspace(store.root) as work:
        os.makedirs(f"{work}/layer/diff")
        atomicfile.write_json(f"{work}/layer/layer.json", {"size": 7})
        store.add_layer(f"{work}/layer", chain[0])
    document = {
        "architecture": "amd64", "os": "linux", "created": "2025-01-01T00:00:00Z",
        "config": {"Cmd": [name], "Labels": {label: ""}},
        "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]},
    }  # fmt: skip
    config = store.content.put_json(document, OCI_CONFIG)
    manifest = store.content.put_json(manifest_of(config, [blob]), OCI_MANIFEST)
    return store.register(config=config, manifest=manifest, layers=chain, size=7, references=list(references))


def gone(image: Image) -> list[dict[str, str]]:
    return [{"Deleted": image.id}, {"Deleted": f"sha256:{image.layers[0]}"}]


def test_removing_a_name_keeps_the_image_until_the_last_one(store: ImageStore) -> None:
    image = add(store, "one", "app:1", "app:2")
    assert removal.remove(store, "app:1") == [{"Untagged": "app:1"}]
    assert store.resolve(image.id).repo_tags == ["app:2"]
    assert removal.remove(store, "app:2") == [{"Untagged": "app:2"}, *gone(image)]
    with pytest.raises(NotFound):
        store.resolve(image.id)
    assert store.content.list() == []
    assert not store.has_layer(image.layers[0])


def test_removing_by_id_with_several_names_needs_force(store: ImageStore) -> None:
    image = add(store, "one", "app:1", "app:2")
    with pytest.raises(Conflict, match=r"must be forced\): is referenced in multiple repositories"):
        removal.remove(store, image.id[7:19])
    report = removal.remove(store, image.id, force=True)
    assert report == [{"Untagged": "app:1"}, {"Untagged": "app:2"}, *gone(image)]


def test_the_built_in_image_stays(store: ImageStore) -> None:
    for force in (False, True):
        with pytest.raises(Forbidden, match="built in"):
            removal.remove(store, "localhost/host", force=force)
    assert removal.prune(store, lambda image: True, all=True, users={}) == ([], 0)


def test_the_last_name_of_an_image_in_use_goes_only_by_force(store: ImageStore) -> None:
    image = add(store, "one", "app:1", "app:2")
    users = {image.id: [RUNNING]}
    assert removal.remove(store, "app:1", users=users) == [{"Untagged": "app:1"}]
    with pytest.raises(Conflict, match=r"image app:2: unable to remove .*container app-web-1 is using it"):
        removal.remove(store, "app:2", users=users)
    assert removal.remove(store, "app:2", force=True, users=users) == [{"Untagged": "app:2"}]
    assert store.resolve(image.id).references == ()


def test_a_running_container_keeps_its_image_even_from_force(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    for force in (False, True):
        with pytest.raises(Conflict, match=r"cannot be forced\): is being used by running container app-web-1"):
            removal.remove(store, image.id, force=force, users={image.id: [STOPPED, RUNNING]})


def test_by_force_an_image_goes_from_under_a_stopped_container_which_keeps_what_it_needs(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    users = {image.id: [STOPPED]}
    with pytest.raises(Conflict, match=r"must be forced\): is being used by stopped container app-job-1"):
        removal.remove(store, image.id, users=users)
    assert removal.remove(store, image.id, force=True, users=users) == [{"Untagged": "app:1"}, {"Deleted": image.id}]
    with pytest.raises(NotFound):
        store.resolve("app:1")
    held = ImageStore(Paths(root=store.root.removesuffix("/images"), run="")).held(image.id)
    assert held is not None
    assert (held.layers, held.config["Cmd"], held.references) == (image.layers, ["one"], ())
    assert store.has_layer(image.layers[0])
    assert removal.collect(store, users) == removal.NOTHING
    assert removal.collect(store, {}).layers == frozenset(image.layers)
    assert store.held(image.id) is None
    assert store.content.list() == []


def test_an_image_that_is_held_may_come_again(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    users = {image.id: [STOPPED]}
    removal.remove(store, image.id, force=True, users=users)
    add(store, "one", "app:2")
    removal.collect(store, users)
    assert store.resolve(image.id).repo_tags == ["app:2"]
    assert store.held(image.id) is None
    assert store.has_layer(image.layers[0])


def test_nothing_is_collected_while_a_held_record_that_is_needed_cannot_be_read(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    users = {image.id: [STOPPED]}
    removal.remove(store, image.id, force=True, users=users)
    with open(f"{store.root}/records/{image.id[7:]}.held", "w", encoding="utf-8") as file:
        file.write("{")
    assert removal.collect(store, users) == removal.NOTHING
    assert store.has_layer(image.layers[0])
    assert removal.collect(store, {}).layers == frozenset(image.layers)


def test_shared_blobs_and_layers_stay_with_the_image_that_still_needs_them(store: ImageStore) -> None:
    image = add(store, "one", "app")
    with open(store.content.path(image.id), "rb") as file:
        document = json.load(file) | {"author": "x"}
    config = store.content.put_json(document, OCI_CONFIG)
    blob = Descriptor(mediaType="layer", digest=document["rootfs"]["diff_ids"][0], size=3)
    manifest = store.content.put_json(manifest_of(config, [blob]), OCI_MANIFEST)
    other = store.register(config=config, manifest=manifest, layers=list(image.layers), size=7, references=["b"])
    assert removal.remove(store, "app") == [{"Untagged": "app:latest"}, {"Deleted": image.id}]
    assert store.has_layer(image.layers[0])
    assert sorted(store.content.list()) == sorted([config["digest"], manifest["digest"], blob["digest"]])
    assert store.resolve("b").id == other.id


def test_nothing_is_collected_while_a_job_is_at_work_and_all_of_it_later(store: ImageStore) -> None:
    image = add(store, "one", "app")
    with workspace.lease(store.root):
        assert removal.remove(store, "app") == [{"Untagged": "app:latest"}, {"Deleted": image.id}]
        assert store.content.list()
    assert removal.collect(store) == removal.Collected(frozenset(image.layers), 7)
    assert not store.content.list()


def test_names_by_digest_go_with_the_last_tag_or_one_by_one(store: ImageStore) -> None:
    digest = "sha256:" + "d" * 64
    image = add(store, "one", "app:1", f"app@{digest}")
    assert removal.remove(store, f"app@{digest}") == [{"Untagged": f"app@{digest}"}]
    assert store.resolve(image.id).repo_digests == []
    add(store, "one", f"app@{digest}")
    report = removal.remove(store, "app:1")
    assert report == [{"Untagged": "app:1"}, {"Untagged": f"app@{digest}"}, *gone(image)]
    image = add(store, "one", f"app@{digest}")
    assert removal.prune(store, lambda image: True, all=False, users={})[0][-2:] == gone(image)


def test_layers_of_the_build_cache_stay(store: ImageStore) -> None:
    image = add(store, "one", "app")
    cache = BuildCache(store.root)
    cache.prepare()
    cache.put("key", {"chain": image.layers[0], "size": 7})
    assert removal.remove(store, "app") == [{"Untagged": "app:latest"}, {"Deleted": image.id}]
    assert store.has_layer(image.layers[0])
    cache.prune(everything=True)
    assert removal.collect(store).layers == frozenset(image.layers)


def test_prune_takes_dangling_images_and_with_all_those_that_no_container_uses(store: ImageStore) -> None:
    dangling = add(store, "old", "app")
    used_dangling = add(store, "held", "app")
    named, used = add(store, "new", "app", "b"), add(store, "used", "c")
    users = {used.id: [RUNNING], used_dangling.id: [STOPPED]}
    assert removal.prune(store, lambda image: True, all=False, users=users) == (gone(dangling), 7)
    report, freed = removal.prune(store, lambda image: True, all=True, users=users)
    assert report == [{"Untagged": "app:latest"}, {"Untagged": "b:latest"}, *gone(named)]
    assert freed == 7
    assert {image.id for image in store.list()[:-1]} == {used.id, used_dangling.id}


def test_prune_leaves_what_is_not_wanted(store: ImageStore) -> None:
    first, second = add(store, "one", label="a"), add(store, "two", label="b")
    report, _ = removal.prune(store, lambda image: "a" in image.config["Labels"], all=False, users={})
    assert report == gone(first)
    assert [image.id for image in store.list()[:-1]] == [second.id]
