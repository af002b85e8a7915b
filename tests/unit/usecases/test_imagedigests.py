"""Images are pinned by what their registry says, under their full name."""

from __future__ import annotations

import pytest

from compose.errors import ComposeError
from compose.model.project import Project
from compose.model.service import ServiceConfig
from compose.usecases.imagedigests import full_reference, pin
from runtime.errors import NotFound

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("x", "docker.io/library/x:latest"),
        ("x:1", "docker.io/library/x:1"),
        ("a/x:1", "docker.io/a/x:1"),
        ("docker.io/x", "docker.io/library/x:latest"),
        ("index.docker.io/a/x", "docker.io/a/x:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/a/x:2", "localhost:5000/a/x:2"),
        ("ghcr.io/a/x", "ghcr.io/a/x:latest"),
        (f"x:1@{DIGEST}", f"docker.io/library/x@{DIGEST}"),
    ],
)
def test_a_reference_is_written_out(image: str, full: str) -> None:
    assert full_reference(image) == full


def project(**images: str) -> Project:
    services = {name: ServiceConfig(name=name, image=image) for name, image in images.items()}
    return Project(name="p", working_dir="/", services=services)


def test_each_image_is_asked_for_once_and_what_has_a_digest_is_not() -> None:
    asked: list[str] = []

    def digest_of(reference: str) -> str:
        asked.append(reference)
        return DIGEST

    pinned = pin(project(a="x:1", b="x:1", c=f"y@{DIGEST}", d=""), digest_of)
    assert asked == ["docker.io/library/x:1"]
    assert [service.image for service in pinned.services.values()] == [
        f"docker.io/library/x:1@{DIGEST}",
        f"docker.io/library/x:1@{DIGEST}",
        f"docker.io/library/y@{DIGEST}",
        "",
    ]


def test_a_failure_names_the_image() -> None:
    def digest_of(_reference: str) -> str:
        raise NotFound("no such tag")

    with pytest.raises(ComposeError, match="failed to resolve digest for x:1: no such tag"):
        pin(project(a="x:1"), digest_of)
