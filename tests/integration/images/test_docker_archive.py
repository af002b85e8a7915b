"""An archive that Docker 26 wrote, kept beside this file: two images, one on top of the other, under three names."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from runtime.images.load import Loaded, load_images
from runtime.images.save import save_images
from runtime.images.store import ImageStore
from runtime.paths import Paths

pytestmark = pytest.mark.root

ARCHIVE = Path(__file__).parent / "archives" / "docker-26.tar.gz"
TOP = "sha256:e5656aeeeadb533b07ef9a97ebd14b7f013d65ce4bd6c5080a32f28c6f0d8e4d"
BASE = "sha256:2321d5a447279e44aadff50d4ddcce5029b839a35bcdd3f809a2c29208058057"


def make_store(base: Path) -> ImageStore:
    made = ImageStore(Paths(root=str(base / "data"), run=str(base / "run")))
    made.prepare()
    return made


def members(path: Path, name: str) -> Any:
    with tarfile.open(path) as archive:
        found = archive.extractfile(name)
        assert found is not None
        return json.load(found)


def test_its_images_have_the_ids_and_names_and_files_that_docker_gave_them(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    told: list[Loaded] = []
    images = load_images(store, str(ARCHIVE), tell=told.append)
    assert [image.id for image in images] == [TOP, BASE]
    assert [loaded.references for loaded in told] == [
        ["docker.io/imgtest/fix:1", "docker.io/imgtest/fix:latest"],
        ["docker.io/imgtest/fix:base"],
    ]
    assert images[0].config["Labels"] == {"role": "fixture"}
    top, base = (Path(layer) for layer in store.layer_dirs(images[0]))
    assert (top / "etc/top").read_text() == "top\n"
    assert (base / "etc/motd").read_text() == "hello\n"
    # Docker's id of the two layers together, as its `image rm` names it
    assert images[0].layers[1] == "43a464e3109795f40c2cc31a0aa4f62e0994e55764a589f2c33dd86116bf8299"


def test_what_is_saved_of_it_says_the_same_as_docker_did(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    load_images(store, str(ARCHIVE))
    ours = tmp_path / "ours.tar"
    save_images(store, ["imgtest/fix:1", "imgtest/fix:latest", "imgtest/fix:base"], str(ours))
    keys = ("Config", "RepoTags", "Layers")
    theirs = [{key: entry[key] for key in keys} for entry in members(ARCHIVE, "manifest.json")]
    assert members(ours, "manifest.json") == theirs
    named = [entry["annotations"] for entry in members(ARCHIVE, "index.json")["manifests"]]
    assert [entry["annotations"] for entry in members(ours, "index.json")["manifests"]] == named


def test_the_layout_half_of_it_alone_loads_too(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "layout", filter="data")
    (tmp_path / "layout/manifest.json").unlink()
    images = load_images(make_store(tmp_path), str(tmp_path / "layout"))
    assert [(image.id, image.repo_tags) for image in images] == [
        (TOP, ["imgtest/fix:1", "imgtest/fix:latest"]),
        (BASE, ["imgtest/fix:base"]),
    ]


def test_a_name_without_a_tag_stands_for_all_its_tags(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    load_images(store, str(ARCHIVE))
    ours = tmp_path / "ours.tar"
    assert save_images(store, ["imgtest/fix"], str(ours)) == [TOP, BASE]
    tags = [entry["RepoTags"] for entry in members(ours, "manifest.json")]
    assert tags == [["imgtest/fix:1", "imgtest/fix:latest"], ["imgtest/fix:base"]]


def test_who_lost_a_name_to_the_archive_is_told(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    load_images(store, str(ARCHIVE))
    store.tag(BASE, "imgtest/fix:1")
    told: list[Loaded] = []
    load_images(store, str(ARCHIVE), tell=told.append)
    assert [loaded.replaced for loaded in told] == [{"docker.io/imgtest/fix:1": BASE}, {}]
