"""The grammar of image references."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.images.reference import check_digest, is_image_id, parse

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("me/app", "docker.io/me/app", "me/app"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox:a", "docker.io/library/busybox:a", "busybox:a"),
        ("index.docker.io/me/app", "docker.io/me/app", "me/app"),
        ("localhost/host", "localhost/host", "localhost/host"),
        ("localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t"),
        ("ghcr.io/o/i:v1", "ghcr.io/o/i:v1", "ghcr.io/o/i:v1"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("a__b/c-d.e---f", "docker.io/a__b/c-d.e---f", "a__b/c-d.e---f"),
        (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}", f"app@sha256:{HEX}"),
        (f"app:t@sha256:{HEX}", f"docker.io/library/app:t@sha256:{HEX}", f"app:t@sha256:{HEX}"),
        ("Host.Example/app", "Host.Example/app", "Host.Example/app"),
    ],
)
def test_short_names_are_completed_and_shortened_again(text: str, full: str, familiar: str) -> None:
    reference = parse(text)
    assert (str(reference), reference.familiar) == (full, familiar)
    assert parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "repository name must have at least one component"),
        ("app:t:t", "invalid reference format"),
        ("/app", "invalid reference format"),
        ("app:", "invalid reference format"),
        ("app:-x", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("app\n", "invalid reference format"),
        ("app tag", "invalid reference format"),
        ("MyApp", r"repository name \(library/MyApp\) must be lowercase"),
        ("me/MyApp:Tag", r"repository name \(me/MyApp\) must be lowercase"),
        (HEX, "cannot specify 64-byte hexadecimal strings"),
        ("a" * 256, "must not be more than 255 characters"),
        ("app@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("app@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("app@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("app@sha256:../../../../etc/passwd", "invalid reference format"),
    ],
)
def test_what_is_no_reference_is_refused_in_docker_s_words(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parse(text)


def test_an_upper_case_tag_is_fine() -> None:
    assert parse("app:RC1").tag == "RC1"


def test_the_tag_latest_is_added_only_where_nothing_is_pinned() -> None:
    assert str(parse("app").tagged()) == "docker.io/library/app:latest"
    assert parse(f"app@sha256:{HEX}").tagged().tag == ""


@pytest.mark.parametrize(
    "digest", ["sha256:../../../../etc/passwd", "md5:" + "a" * 32, "sha256:" + "A" * 64, "sha256", ""]
)
def test_a_digest_that_could_be_a_path_never_passes(digest: str) -> None:
    with pytest.raises(InvalidParameter):
        check_digest(digest)


def test_an_image_id_is_recognised_with_and_without_algorithm() -> None:
    assert is_image_id(HEX)
    assert is_image_id(f"sha256:{HEX}")
    assert not is_image_id("busybox")
