"""What a registry may do wrong or do on purpose, and that nothing of it counts."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import EngineError, InvalidParameter, NotFound, Unavailable
from tests.integration.registry.conftest import nothing_is_there
from tests.kit.lyingregistry import LAYER, MANIFEST, Request, digest_of, error, tar_of

pytestmark = pytest.mark.root

ONE = tar_of({"one": os.urandom(200_000)})
TWO = tar_of({"two": os.urandom(200_000)})


def test_an_honest_image_arrives_whole(registry, store, pull) -> None:
    made = registry.image("app:1", ONE, TWO)
    told: list[Any] = []
    done = pull("app:1", told=told)
    assert done.changed
    assert done.digest == made.digest
    assert store.resolve(f"{registry.host}/app:1").id == digest_of(made.config)
    assert store.resolve(f"{registry.host}/app@{made.digest}").id == digest_of(made.config)
    assert {name for path in store.layer_dirs(done.image) for name in os.listdir(path)} == {"one", "two"}
    words = [text for layer, text, *_ in told if layer == digest_of(made.layers[0])[7:19]]
    assert [word for word in dict.fromkeys(words) if word != "Extracting"] == [
        *("Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Pull complete"),
    ]
    before = len(registry.requests)
    assert not pull("app:1").changed
    assert len(registry.requests) == before + 1


def test_layers_that_images_share_are_fetched_once(registry, store, pull) -> None:
    registry.image("app:1", ONE, TWO)
    registry.image("other:1", ONE, tar_of({"three": b"3"}))
    pull("app:1")
    pull("other:1")
    assert len(registry.asked("GET", digest_of(gzip.compress(ONE, 1, mtime=0)))) == 1
    assert len(os.listdir(f"{store.root}/layers")) == 3


def test_two_jobs_at_once_fetch_a_layer_once(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    registry.image("other:1", ONE, TWO)
    digest = digest_of(made.layers[0])
    going, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        going.set()
        go_on.wait(10)
        registry.truth(request)

    registry.lie(digest, slow)
    first = threading.Thread(target=pull, args=("app:1",))
    first.start()
    assert going.wait(10)
    told: list[Any] = []
    second = threading.Thread(target=pull, args=("other:1",), kwargs={"told": told})
    second.start()
    deadline = time.monotonic() + 10
    while not any(text == "Waiting" for _, text, *_ in told) and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(registry.asked("GET", digest)) == 1
    assert len(store.list()) == 3


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_a_layer_of_another_size_than_promised_is_refused(registry, store, pull, size: int) -> None:
    made = registry.image("app:1", ONE)
    manifest = json.loads(made.manifest)
    manifest["layers"][0]["size"] = size if size < 0 else size + len(made.layers[0]) + (1 if size == 0 else -2 * size)
    registry.document("app:1", json.dumps(manifest).encode(), MANIFEST)
    with pytest.raises(InvalidParameter, match="size"):
        pull("app:1")
    assert nothing_is_there(store)


def test_a_layer_with_another_content_than_promised_is_refused(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    wrong = bytearray(made.layers[0])
    wrong[-20] ^= 1
    registry.blobs[digest_of(made.layers[0])] = bytes(wrong)
    with pytest.raises(InvalidParameter, match="verification failed") as caught:
        pull("app:1")
    assert f"{registry.host}/app:1" in caught.value.message
    assert digest_of(bytes(wrong)) in caught.value.message
    assert nothing_is_there(store)
    registry.blobs[digest_of(made.layers[0])] = made.layers[0]
    pull("app:1")


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_document_with_another_content_than_promised_is_refused(registry, store, pull, part: str) -> None:
    made = registry.image("app:1", ONE)
    if part == "config":
        registry.blobs[digest_of(made.config)] = made.config.replace(b"amd64", b"amd46")
        name = "app:1"
    else:
        registry.manifests[f"app/{made.digest}"] = (made.manifest + b" ", MANIFEST)
        name = f"app@{made.digest}"
    with pytest.raises(InvalidParameter, match="verification failed"):
        pull(name)
    assert nothing_is_there(store)


def test_a_header_that_names_another_digest_is_a_lie(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    registry.lie(
        "/manifests/",
        lambda request: request.answer(
            200, made.manifest, Content_Type=MANIFEST, Docker_Content_Digest="sha256:" + "0" * 64
        ),
    )
    with pytest.raises(InvalidParameter, match="the registry says it is sha256:0000"):
        pull("app:1")


def test_diff_ids_that_are_not_those_of_the_layers_are_refused(registry, store, pull) -> None:
    registry.image("app:1", ONE, rootfs={"type": "layers", "diff_ids": [digest_of(TWO)]})
    with pytest.raises(InvalidParameter, match="its content is"):
        pull("app:1")
    assert nothing_is_there(store)


def test_a_truncated_layer_is_gone_on_with_where_it_broke_off(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    digest, data = digest_of(made.layers[0]), made.layers[0]

    def truncated(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:100_000])
        request.close_connection = True

    registry.lie(f"/blobs/{digest}", truncated, times=1)
    told: list[Any] = []
    pull("app:1", told=told)
    assert [headers.get("range") for headers in registry.asked("GET", digest)] == [None, "bytes=100000-"]
    assert any(text == "Retrying in 1 second" for _, text, *_ in told)


def test_a_registry_that_cannot_resume_sends_all_of_it_again(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    digest, data = digest_of(made.layers[0]), made.layers[0]
    sent = []

    def whole(request: Request) -> None:
        sent.append(1)
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:100_000] if len(sent) < 3 else data)
        request.close_connection = True

    registry.lie(f"/blobs/{digest}", whole)
    pull("app:1")
    assert len(sent) == 3


def test_what_a_killed_pull_had_fetched_is_not_fetched_again(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    digest, data = digest_of(made.layers[0]), made.layers[0]
    partial = Path(store.root, "partial", digest.replace(":", "-"))
    partial.parent.mkdir()
    partial.write_bytes(data[:150_000])
    pull("app:1")
    assert [headers.get("range") for headers in registry.asked("GET", digest)] == ["bytes=150000-"]
    assert not list(partial.parent.iterdir())


def test_damage_in_what_a_killed_pull_had_fetched_is_found_and_thrown_away(registry, store, pull) -> None:
    made = registry.image("app:1", ONE)
    partial = Path(store.root, "partial", digest_of(made.layers[0]).replace(":", "-"))
    partial.parent.mkdir()
    partial.write_bytes(bytes(150_000))
    pull("app:1")
    assert len(store.list()) == 2


@pytest.mark.parametrize("what", ["blob", "manifest", "error", "config"])
def test_an_endless_answer_is_cut_off(registry, store, pull, what: str) -> None:
    made = registry.image("app:1", ONE)

    def endless(request: Request) -> None:
        request.send_response(404 if what == "error" else 200)
        if what != "error":
            request.send_header("Content-Type", MANIFEST)
        request.send_header("Connection", "close")
        request.end_headers()
        while True:
            request.wfile.write(b" " * 65536)

    parts = {"blob": digest_of(made.layers[0]), "config": digest_of(made.config)}
    registry.lie(parts.get(what, "/manifests/"), endless)
    began = time.monotonic()
    with pytest.raises(EngineError, match="more than|larger than|manifest unknown"):
        pull("app:1")
    assert time.monotonic() - began < 10
    assert nothing_is_there(store)


def test_a_stalled_layer_is_given_up_and_tried_again(registry, pull) -> None:
    made = registry.image("app:1", ONE)

    def stalled(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(made.layers[0])))
        request.end_headers()
        request.wfile.write(made.layers[0][:1000])
        registry.released.wait(20)

    registry.lie(digest_of(made.layers[0]), stalled, times=1)
    began = time.monotonic()
    pull("app:1", stall=0.3)
    assert time.monotonic() - began < 5


def test_a_registry_that_never_answers_is_an_error_in_time(registry, pull) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda _request: registry.released.wait(20) and None)
    with pytest.raises(Unavailable, match="stalled"):
        pull("app:1", stall=0.1)


def test_a_layer_that_drips_is_stalled_too(registry, pull) -> None:
    made = registry.image("app:1", ONE)

    def drip(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(made.layers[0])))
        request.end_headers()
        for byte in made.layers[0]:
            request.wfile.write(bytes([byte]))
            if registry.released.wait(0.02):
                return

    registry.lie(digest_of(made.layers[0]), drip, times=1)
    began = time.monotonic()
    pull("app:1", stall=0.3)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(registry, pull, status: int) -> None:
    made = registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(status), times=2)
    registry.lie(digest_of(made.layers[0]), lambda request: request.answer(status), times=2)
    assert pull("app:1").changed


def test_the_pause_that_a_registry_asks_for_is_kept(registry, pull) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(429, Retry_After="1"), times=1)
    began = time.monotonic()
    pull("app:1")
    assert 1 <= time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (429, error("TOOMANYREQUESTS", "slow down"), "toomanyrequests: slow down"),
        (503, b"", "received unexpected HTTP status from .*: 503 Service Unavailable"),
    ],
)
def test_a_failure_that_does_not_pass_is_told(registry, store, pull, status: int, body: bytes, message: str) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(status, body))
    with pytest.raises(Unavailable, match=message):
        pull("app:1")
    assert len(registry.requests) == 6
    assert nothing_is_there(store)


def test_an_unreasonable_pause_is_an_error_at_once(registry, pull) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(429, Retry_After="86400"))
    with pytest.raises(Unavailable, match="toomanyrequests"):
        pull("app:1")
    assert len(registry.requests) == 1


@pytest.mark.parametrize("mode", ["plain", "zstd", "empty", "mixed"])
def test_layers_come_in_any_compression(registry, store, pull, mode: str) -> None:
    import zstandard

    packed = {
        "plain": lambda data: data,
        "zstd": zstandard.compress,
        "empty": gzip.compress,
        "mixed": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    }[mode]
    tar = tar_of({}) if mode == "empty" else ONE
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar), digest_of(tar)]},
    }
    registry.put("app:1", json.dumps(config).encode(), [packed(tar), packed(tar)])
    image = pull("app:1").image
    assert len(image.layers) == 2
    assert all(os.listdir(path) == ([] if mode == "empty" else ["one"]) for path in store.layer_dirs(image))


@pytest.mark.parametrize(
    "data",
    [b"garbage" * 1000, gzip.compress(ONE)[:5000], gzip.compress(b"no tar" * 1000)],
    ids=["garbage", "cut", "no tar"],
)
def test_a_layer_that_is_no_archive_is_refused(registry, store, pull, data: bytes) -> None:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(ONE)]},
    }
    registry.put("app:1", json.dumps(config).encode(), [data])
    with pytest.raises(InvalidParameter):
        pull("app:1")
    assert nothing_is_there(store)


def test_a_failed_pull_leaves_the_old_image_and_the_good_layers(registry, store, pull) -> None:
    old = registry.image("app:1", ONE)
    pull("app:1")
    new = registry.image("app:1", ONE, TWO)
    registry.lie(digest_of(new.layers[1]), lambda request: request.answer(404), times=1)
    with pytest.raises(NotFound):
        pull("app:1")
    assert store.resolve(f"{registry.host}/app:1").id == digest_of(old.config)
    done = pull("app:1")
    assert done.changed
    assert len(registry.asked("GET", digest_of(old.layers[0]))) == 1
    assert LAYER in new.manifest.decode()
