"""What may go wrong while an image is pushed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import EngineError, Forbidden, SystemFailure, Unavailable
from runtime.images.archive import import_rootfs
from runtime.images.reference import parse
from runtime.images.registry.push import push_image
from tests.kit.lyingregistry import error, take, tar_of

if TYPE_CHECKING:
    from tests.kit.lyingregistry import LyingRegistry

pytestmark = pytest.mark.root

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def push(store: Any, registry: LyingRegistry, tmp_path: Path) -> Any:
    (tmp_path / "root.tar").write_bytes(tar_of({"hello": b"x" * 100_000}))
    import_rootfs(store, str(tmp_path / "root.tar"), f"{registry.host}/app:1")

    def run(told: list[Any] | None = None) -> Any:
        events: list[Any] = [] if told is None else told
        reference = parse(f"{registry.host}/app:1")
        return push_image(store, reference, {}, progress=lambda *event: events.append(event))

    return run


def test_what_is_pushed_can_be_pulled_and_a_second_push_sends_nothing(registry, store, push, pull) -> None:
    take(registry)
    done = push()
    assert json.loads(registry.manifests["app/1"][0])["layers"][0]["mediaType"].endswith("tar+gzip")
    assert store.resolve(f"{registry.host}/app@{done.digest}").id == store.resolve(f"{registry.host}/app:1").id
    sent = len(registry.asked("PUT", "/blobs/"))
    told: list[Any] = []
    assert push(told).digest == done.digest
    assert len(registry.asked("PUT", "/blobs/")) == sent
    assert told[-1][1] == "Layer already exists"
    assert not pull("app:1").changed


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_upload_that_fails_is_begun_again(registry, push, status: int) -> None:
    registry.lie("/blobs/uploads/session", lambda request: request.answer(status), times=2, method="PUT")
    registry.lie("/blobs/uploads/", lambda request: request.answer(status), times=1, method="POST")
    take(registry)
    assert push().digest


def test_an_upload_that_keeps_failing_is_an_error(registry, push) -> None:
    registry.lie("/blobs/uploads/session", lambda request: request.answer(503), method="PUT")
    take(registry)
    with pytest.raises(Unavailable, match="503 Service Unavailable"):
        push()
    assert not registry.manifests


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (403, error("DENIED", "not yours"), Forbidden, "push access denied for .*: not yours"),
        (413, b"", EngineError, "413 Payload Too Large"),
        (202, b"", EngineError, "202"),
    ],
)
def test_an_upload_that_is_refused_is_not_tried_again(
    registry, push, status: int, body: bytes, kind: type[EngineError], message: str
) -> None:
    registry.lie("/blobs/uploads/", lambda request: request.answer(status, body), method="POST")
    with pytest.raises(kind, match=message):
        push()
    assert len(registry.asked("POST", "/blobs/uploads/")) == 1


def test_a_registry_that_stores_another_manifest_is_found_out(registry, push) -> None:
    registry.lie(
        "/manifests/", lambda request: request.answer(201, Docker_Content_Digest="sha256:" + "0" * 64), method="PUT"
    )
    take(registry)
    with pytest.raises(SystemFailure, match="the registry stored manifest sha256:0000"):
        push()


def test_a_layer_changed_on_disk_is_not_pushed(registry, store, push) -> None:
    take(registry)
    Path(store.layer_dirs(store.resolve(f"{registry.host}/app:1"))[0], "hello").write_bytes(b"changed")
    with pytest.raises(SystemFailure, match="damaged on disk"):
        push()
    assert not registry.manifests


def test_a_pull_of_a_bomb_takes_bounded_memory(registry, tmp_path: Path) -> None:
    registry.image("bomb:1", tar_of({"zeros": bytes(300 << 20)}))
    request = {"root": str(tmp_path / "data"), "run": str(tmp_path / "run"), "reference": f"{registry.host}/bomb:1"}
    measured = (
        "import runtime.worker.__main__ as job, sys; code = job.main(['', 'pull_image']); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measured], input=json.dumps(request), capture_output=True, text=True, cwd=REPOSITORY,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert int(done.stderr) < 96 << 10
