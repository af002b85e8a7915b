"""Artifacts of registries that are old, wrong or hostile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import EngineError, Forbidden, InvalidParameter
from runtime.images.reference import Reference, parse
from runtime.images.registry.artifact import Form, Layer, fetch_artifact, publish_artifact
from tests.kit.lyingregistry import INDEX, MANIFEST, error, take

if TYPE_CHECKING:
    from tests.kit.lyingregistry import LyingRegistry, Request

pytestmark = pytest.mark.root

KIND, CONFIG = "application/vnd.test.kind", "application/vnd.test.config+json"
TEXT = Layer(media_type="text/plain", content=b"words", annotations={"name": "a"})
FORM = Form(kind=KIND, config_type=CONFIG, annotations={"when": "now"}, described={"version": "1"})


def name(registry: LyingRegistry) -> Reference:
    return parse(f"{registry.host}/app:1")


def publish(registry: LyingRegistry, form: Form = FORM) -> dict[str, Any]:
    """Publish one layer; the manifest that is there now."""
    publish_artifact(name(registry), {}, [TEXT], form)
    return dict(json.loads(registry.manifests["app/1"][0]))


def put(registry: LyingRegistry, **changes: Any) -> None:
    """An artifact, with something else about its layer."""
    layer = {**registry.blob(TEXT.content, TEXT.media_type), "annotations": {"name": "a", "wrong": 1}, **changes}
    config = registry.blob(b"{}", "application/vnd.oci.empty.v1+json")
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": KIND, "config": config, "layers": [layer]}
    registry.document("app:1", json.dumps(document).encode(), MANIFEST)


def test_what_is_published_is_fetched_again(registry: LyingRegistry) -> None:
    take(registry)
    manifest = publish(registry)
    assert (manifest["artifactType"], manifest["annotations"]) == (KIND, {"when": "now"})
    found = fetch_artifact(name(registry), {}, (KIND, CONFIG))
    assert (found.kind, found.layers) == (KIND, [TEXT])
    sent = len(registry.asked("PUT", "/blobs/"))
    publish(registry)
    assert len(registry.asked("PUT", "/blobs/")) == sent


def test_a_registry_that_knows_no_artifacts_gets_the_older_form(registry: LyingRegistry) -> None:
    registry.lie(
        "/manifests/1", lambda request: request.answer(400, error("MANIFEST_INVALID", "no")), times=1, method="PUT"
    )
    take(registry)
    manifest = publish(registry)
    assert "artifactType" not in manifest
    assert manifest["config"]["mediaType"] == CONFIG
    assert fetch_artifact(name(registry), {}, (KIND, CONFIG)).layers == [TEXT]


def test_a_form_that_was_asked_for_is_not_given_up(registry: LyingRegistry) -> None:
    def refuse(request: Request) -> None:
        request.answer(400, error("MANIFEST_INVALID", "no"))

    registry.lie("/manifests/1", refuse, method="PUT")
    take(registry)
    with pytest.raises(InvalidParameter, match="400"):
        publish(registry, Form(kind=KIND, config_type=CONFIG, version="1.1"))
    with pytest.raises(InvalidParameter, match="unsupported OCI version: 2"):
        publish(registry, Form(kind=KIND, config_type=CONFIG, version="2"))


def test_who_may_not_push_is_told_once(registry: LyingRegistry) -> None:
    registry.lie("/blobs/", lambda request: request.answer(403), method="HEAD")
    with pytest.raises((Forbidden, EngineError), match="denied"):
        publish(registry)
    assert not registry.asked("PUT", "/manifests/")


def test_another_kind_is_named_and_not_fetched(registry: LyingRegistry) -> None:
    put(registry)
    found = fetch_artifact(name(registry), {}, ("application/vnd.other",))
    assert (found.kind, found.layers) == (KIND, [])
    assert not registry.asked("GET", "/blobs/")


def test_an_index_leads_to_its_member_of_the_kind(registry: LyingRegistry) -> None:
    put(registry)
    data = registry.manifests["app/1"][0]
    member = {**registry.blob(data, MANIFEST), "artifactType": KIND}
    other = {**registry.blob(b"?", MANIFEST), "artifactType": "application/vnd.other"}
    registry.document(
        "app:2", json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other, member]}).encode(), INDEX
    )
    found = fetch_artifact(parse(f"{registry.host}/app:2"), {}, (KIND,))
    assert found.layers == [TEXT]
    with pytest.raises(InvalidParameter, match="lists no"):
        fetch_artifact(parse(f"{registry.host}/app:2"), {}, ("application/vnd.third",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"digest": f"sha256:{'0' * 64}"}, "not found|unknown|verification"),
        ({"size": 4}, "larger than 4 bytes|size is"),
        ({"size": 6}, "size is 5 bytes, not 6"),
        ({"size": 5 << 20}, "bytes are more than"),
        ({"digest": "sha256:../../x"}, "digest"),
    ],
)
def test_a_layer_that_is_not_what_it_is_said_to_be_is_refused(
    registry: LyingRegistry, changes: dict[str, Any], words: str
) -> None:
    put(registry, **changes)
    with pytest.raises(EngineError, match=words):
        fetch_artifact(name(registry), {}, (KIND,))


def test_a_layer_with_other_bytes_is_refused(registry: LyingRegistry) -> None:
    put(registry)
    for digest, data in registry.blobs.items():
        registry.blobs[digest] = data.replace(b"words", b"sword")
    with pytest.raises(EngineError, match="verification failed"):
        fetch_artifact(name(registry), {}, (KIND,))
