"""Layers of an artifact to files and back, in Docker Compose's form."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from compose.errors import ComposeError
from compose.usecases.artifact import ENV, YAML, Part, files, layers


def layer(content: str, kind: str = YAML, **notes: str) -> dict[str, Any]:
    """A layer as the engine gives it."""
    annotations = {f"com.docker.compose.{key}": value for key, value in notes.items()}
    return {"MediaType": kind, "Content": base64.b64encode(content.encode()).decode(), "Annotations": annotations}


def test_what_is_made_of_files_is_these_files_again() -> None:
    parts = [
        Part("app.yaml", b"a: 1"),
        Part("over.yaml", b"b: 2"),
        Part("base.yaml", b"c: 3", is_base=True),
        Part("x.env", b"D=4", ENV),
    ]
    assert files(layers(parts, "1")) == {
        "compose.yaml": b"a: 1\n---\nb: 2",
        "base.yaml": b"c: 3",
        "x.env": b"D=4",
    }


def test_layers_of_unknown_kinds_are_ignored() -> None:
    assert list(files([layer("a: 1"), layer("?", "application/x-other")])) == ["compose.yaml"]


@pytest.mark.parametrize("name", ["../x", "/etc/cron.d/x", "a/b", "a\\b", "..", ".", "", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ComposeError, match="invalid OCI artifact"):
        files([layer("a: 1"), layer("b", ENV, envfile=name)])
    with pytest.raises(ComposeError, match="invalid OCI artifact"):
        files([layer("a: 1"), layer("b", file=name, extends="true")])


def test_an_artifact_without_a_compose_file_is_refused() -> None:
    with pytest.raises(ComposeError, match="holds no compose file"):
        files([layer("A=1", ENV, envfile="a.env")])
