"""Content and image records."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Forbidden, InvalidParameter, NotFound
from runtime.images import hostlayer, removal, workspace
from runtime.images.archive import manifest_of
from runtime.images.content import ContentStore
from runtime.images.manifest import OCI_CONFIG, OCI_MANIFEST, chain_ids, digest_of
from runtime.images.store import ImageStore
from runtime.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.images.records import Image


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    made = ImageStore(Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run")))
    made.prepare()
    return made


def add(store: ImageStore, name: str, *references: str) -> Image:
    """An image of one layer whose content is `name`."""
    blob = store.content.put(name.encode(), "layer")
    chain = chain_ids([blob["digest"]])
    with workspace.workspace(store.root) as work:
        os.makedirs(f"{work}/layer/diff")
        store.add_layer(f"{work}/layer", chain[0])
    document = {
        "architecture": "amd64", "os": "linux", "created": "2025-01-01T00:00:00Z", "config": {"Cmd": [name]},
        "rootfs": {"type": "layers", "diff_ids": [blob["digest"]]},
    }  # fmt: skip
    config = store.content.put_json(document, OCI_CONFIG)
    manifest = store.content.put_json(manifest_of(config, [blob]), OCI_MANIFEST)
    return store.register(config=config, manifest=manifest, layers=chain, size=7, references=list(references))


def test_an_image_is_found_by_name_id_and_short_id(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    for text in ("app:1", "docker.io/library/app:1", image.id, image.id[7:], image.id[7:19], image.id[:15]):
        assert store.resolve(text) == image
    assert image.config == {"Cmd": ["one"]}
    assert (image.repo_tags, image.size, image.architecture) == (["app:1"], 7, "amd64")
    assert store.layer_dirs(image) == [f"{store.root}/layers/{image.layers[0]}/diff"]


def test_an_image_is_found_by_the_digest_of_its_manifest(store: ImageStore) -> None:
    image = add(store, "one", "app:1")
    assert store.resolve(f"app@{image.manifest_digest}").id == image.id
    with pytest.raises(NotFound):
        store.resolve(f"other@{image.manifest_digest}")


def test_a_missing_image_is_named_as_the_user_did(store: ImageStore) -> None:
    with pytest.raises(NotFound, match="no such image: nope:latest"):
        store.resolve("nope")
    with pytest.raises(InvalidParameter, match="must be lowercase"):
        store.resolve("Nope")


def test_the_built_in_image_is_there_and_stays(store: ImageStore) -> None:
    for text in ("localhost/host", "localhost/host:latest", hostlayer.image_id()):
        assert store.resolve(text).on_host
    assert [image.repo_tags for image in store.list()] == [["localhost/host:latest"]]
    image = add(store, "one", "app")
    with pytest.raises(Forbidden):
        removal.remove(store, "localhost/host")
    with pytest.raises(Forbidden):
        store.tag(image.id, "localhost/host")


def test_a_tag_moves_from_one_image_to_another(store: ImageStore) -> None:
    first, second = add(store, "one", "app"), add(store, "two", "app", "other")
    assert store.resolve("app").id == second.id
    assert store.resolve(first.id).references == ()
    store.tag(first.id, "app")
    assert store.resolve("app").id == first.id
    assert store.resolve(second.id).repo_tags == ["other:latest"]


def test_of_a_tag_left_on_two_images_by_a_crash_the_later_setting_counts(store: ImageStore) -> None:
    first = add(store, "one", "app")
    record = f"{store.root}/records/{first.id[7:]}.json"
    with open(record, encoding="utf-8") as file:
        before = file.read()
    second = add(store, "two", "app")
    with open(record, "w", encoding="utf-8") as file:
        file.write(before)
    fresh = ImageStore(Paths(root=store.root.removesuffix("/images"), run=""))
    assert fresh.resolve("app").id == second.id
    assert fresh.resolve(first.id).references == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version":1}', '{"version":99}', "\0" * 30, "[" * 50_000])
def test_a_damaged_record_is_set_aside_by_name_and_the_others_go_on(store: ImageStore, text: str) -> None:
    bad, good = add(store, "one", "bad"), add(store, "two", "good")
    with open(f"{store.root}/records/{bad.id[7:]}.json", "w", encoding="utf-8") as file:
        file.write(text)
    assert [image.repo_tags for image in store.list()[:-1]] == [["good:latest"]]
    assert bad.id[7:] in store.problems[0]
    removal.remove(store, "good")
    assert good.id not in [image.id for image in store.list()]
    # whose layers these were is unknown now
    assert store.has_layer(bad.layers[0])


def test_a_configuration_damaged_on_disk_is_noticed(store: ImageStore) -> None:
    image = add(store, "one", "app")
    with open(store.content.path(image.id), "ab") as file:
        file.write(b" ")
    fresh = ImageStore(Paths(root=store.root.removesuffix("/images"), run=""))
    with pytest.raises(NotFound):
        fresh.resolve("app")
    assert "damaged on disk" in fresh.problems[0]


def test_the_oci_index_names_every_tag(store: ImageStore) -> None:
    image = add(store, "one", "app:1", "app:2")
    with open(f"{store.root}/index.json", encoding="utf-8") as file:
        index = json.load(file)
    assert [(entry["digest"], entry["annotations"]) for entry in index["manifests"]] == [
        (image.manifest_digest, {"org.opencontainers.image.ref.name": f"docker.io/library/app:{tag}"}) for tag in "12"
    ]


def test_content_is_kept_only_if_digest_and_size_are_as_promised(tmp_path: Path) -> None:
    content = ContentStore(str(tmp_path))
    content.prepare()
    good = digest_of(b"data")
    for digest, size, message in (
        (digest_of(b"other"), 4, "verification failed"),
        (good, 3, "more than 3"),
        (good, 5, "size is 4"),
    ):
        with pytest.raises(InvalidParameter, match=message):
            content.ingest(io.BytesIO(b"data"), str(tmp_path), digest=digest, size=size)
    assert content.list() == []
    assert content.ingest(io.BytesIO(b"data"), str(tmp_path), digest=good, size=4) == {"digest": good, "size": 4}
    assert content.read(good) == b"data"
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("blob-")]


def test_a_workspace_of_a_dead_job_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "tmp/123-dead/sub").mkdir(parents=True)
    with workspace.workspace(str(tmp_path)) as work:
        assert workspace.sweep(str(tmp_path)) == 1
        assert [str(entry) for entry in (tmp_path / "tmp").iterdir()] == [work]
    assert list((tmp_path / "tmp").iterdir()) == []
