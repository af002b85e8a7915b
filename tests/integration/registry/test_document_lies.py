"""What manifests, indexes and configurations may say, and that a lie in them is found before anything counts."""

from __future__ import annotations

import json
import os

import pytest

from runtime.errors import InvalidParameter, NotFound, NotSupported
from tests.integration.registry.conftest import nothing_is_there
from tests.kit.lyingregistry import INDEX, MANIFEST, digest_of, error, tar_of

pytestmark = pytest.mark.root

ONE = tar_of({"one": os.urandom(200_000)})
TWO = tar_of({"two": os.urandom(200_000)})


def test_bytes_that_are_manifest_and_index_at_once_are_refused(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    both = {**json.loads(made.manifest), "manifests": [made.descriptor]}
    registry.document("app:1", json.dumps(both).encode(), MANIFEST)
    with pytest.raises(InvalidParameter, match="both a manifest and an index"):
        pull("app:1")


def test_a_manifest_that_is_called_an_index_is_refused(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    registry.document("app:1", made.manifest, INDEX)
    with pytest.raises(InvalidParameter, match="the registry calls it"):
        pull("app:1")
    without = {key: value for key, value in json.loads(made.manifest).items() if key != "mediaType"}
    registry.document("app:2", json.dumps(without).encode(), INDEX)
    with pytest.raises(InvalidParameter, match="is called"):
        pull("app:2")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"{", "invalid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"<html>log in to the WiFi</html>", "proxy or portal"),
        (b"{}", "not an image manifest"),
        (b'{"schemaVersion": 2, "layers": 5}', "not an image manifest"),
        (
            b'{"schemaVersion": 2, "config": {"digest": "sha256:../../../etc/passwd", "size": 1}, "layers": []}',
            "digest",
        ),
        (b'{"schemaVersion": 2, "config": {"digest": "md5:' + b"0" * 32 + b'", "size": 1}, "layers": []}', "digest"),
        (b'{"schemaVersion": 2, "manifests": 5}', "no matching manifest"),
        (b'{"schemaVersion": 2, "mediaType": "application/x-other", "layers": []}', "unsupported media type"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
        (b" " * (6 << 20), "larger than"),
    ],
)
def test_documents_that_are_none_are_refused(registry, store, pull, data: bytes, message: str) -> None:
    registry.document("app:1", data, "application/json")
    with pytest.raises((InvalidParameter, NotSupported), match=message):
        pull("app:1")
    assert nothing_is_there(store)


def test_an_index_gives_the_image_for_the_platform(registry, store, pull) -> None:
    ours = registry.image("app:amd", ONE)
    other = registry.image("app:arm", TWO, architecture="arm64")
    digest = registry.index(
        "app:1",
        [
            {**other.descriptor, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {**ours.descriptor, "platform": {"os": "linux", "architecture": "amd64"}},
            {**ours.descriptor, "platform": {"os": "unknown", "architecture": "unknown"}},
        ],
    )
    done = pull("app:1")
    assert (done.image.id, done.digest) == (digest_of(ours.config), digest)
    assert store.resolve(f"{registry.host}/app@{digest}").id == done.image.id
    assert pull("app:1", platform="linux/arm64").image.id == digest_of(other.config)
    with pytest.raises(InvalidParameter, match=r"no matching manifest for linux/s390x.*linux/arm64, linux/amd64"):
        pull("app:1", platform="linux/s390x")


def test_the_wrong_platform_is_an_error_and_no_surprise(registry, store, pull) -> None:
    registry.image("app:1", ONE, architecture="arm64")
    with pytest.raises(InvalidParameter, match="wanted linux/amd64, actual: linux/arm64"):
        pull("app:1")
    assert nothing_is_there(store)
    assert pull("app:1", platform="linux/arm64").changed
    # an index that lies about the platform is found out by the configuration
    made = registry.image("app:2", ONE, architecture="arm64")
    registry.index("app:3", [{**made.descriptor, "platform": {"os": "linux", "architecture": "amd64"}}])
    with pytest.raises(InvalidParameter, match="actual: linux/arm64"):
        pull("app:3")


def test_another_operating_system_is_not_supported(registry, pull) -> None:
    registry.image("app:1", ONE, os="windows")
    with pytest.raises(NotSupported, match="windows"):
        pull("app:1")


def test_indexes_in_indexes_end_somewhere(registry, pull) -> None:
    digest = registry.image("app:0", ONE).digest
    data = registry.manifests[f"app/{digest}"][0]
    for level in range(1, 5):
        entry = {"mediaType": INDEX, "digest": digest, "size": len(data)}
        digest = registry.index(f"app:{level}", [entry])
        data = registry.manifests[f"app/{digest}"][0]
    pull("app:2")
    with pytest.raises(InvalidParameter, match="nested too deeply"):
        pull("app:4")


def test_too_many_layers_are_refused_before_any_is_fetched(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    manifest = json.loads(made.manifest)
    manifest["layers"] *= 300
    registry.document("app:1", json.dumps(manifest).encode(), MANIFEST)
    with pytest.raises(InvalidParameter, match="300 layers"):
        pull("app:1")
    assert not registry.asked("GET", "/blobs/")


def test_addresses_in_a_manifest_are_never_visited(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    manifest = json.loads(made.manifest)
    manifest["layers"][0] |= {"urls": [f"http://{registry.host}/elsewhere"]}
    registry.document("app:1", json.dumps(manifest).encode(), MANIFEST)
    del registry.blobs[digest_of(made.layers[0])]
    with pytest.raises(NotFound, match="is not in the registry"):
        pull("app:1")
    assert not registry.asked("GET", "elsewhere")
    assert nothing_is_there(store)


def test_an_image_that_is_not_there_is_dockers_error(registry, pull) -> None:
    with pytest.raises(NotFound, match=r"manifest for .*/nope:latest not found: manifest unknown: manifest unknown"):
        pull("nope")


def test_what_a_registry_says_cannot_drive_the_terminal(registry, pull) -> None:
    registry.lie("/manifests/", lambda request: request.answer(403, error("DENIED", "\x1b[2Jgone\nall")))
    with pytest.raises(NotFound) as caught:
        pull("app:1")
    assert "\\x1b[2Jgone\\nall" in caught.value.message
    assert "\n" not in caught.value.message
