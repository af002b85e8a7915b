"""Challenges as registries write them, sites, and pauses between attempts."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.images import platform as platforms
from runtime.images.platform import Platform
from runtime.images.registry.auth import parse_challenges, same_site
from runtime.images.registry.backoff import ATTEMPTS, Backoff, asked_pause


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a:pull,push",
                    },
                )
            ],
        ),
        ('Basic realm="a \\"b\\""', [("basic", {"realm": 'a "b"'})]),
        ("Basic realm=plain", [("basic", {"realm": "plain"})]),
        ("Negotiate", [("negotiate", {})]),
        ('Basic realm="x", Bearer realm="y"', [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges([header]) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("auth.docker.io", "registry-1.docker.io", True),
        ("gitlab.com", "registry.gitlab.com", True),
        ("a.example.co.uk", "b.example.co.uk", True),
        ("a.co.uk", "b.co.uk", False),
        ("docker.io", "docker.io.evil.com", False),
        ("evil-docker.io", "docker.io", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("1.2.3.4", "9.9.3.4", False),
        ("localhost", "localhost", True),
        ("com", "org", False),
    ],
)
def test_hosts_of_one_site(one: str, other: str, same: bool) -> None:
    assert same_site(one, other) is same


def test_pauses_grow_and_end() -> None:
    slept: list[float] = []
    backoff = Backoff(sleep=slept.append)
    while backoff.again():
        pass
    assert len(slept) == ATTEMPTS - 1
    assert all(later > earlier for earlier, later in zip(slept, slept[1:], strict=False))
    backoff.progressed()
    assert backoff.again(asked=20)
    assert slept[-1] == 20
    assert not backoff.again(asked=1000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((None, 0), ("", 0), ("7", 7), ("soon", 0), ("-5", 0)),
        *(("Thu, 01 Jan 1970 00:00:10 GMT", 10), ("Thu, 01 Jan 1960 00:00:00 GMT", 0)),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert asked_pause(value, 0.0) == seconds


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/x86_64", Platform("linux", "amd64")),
        ("arm64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/arm", Platform("linux", "arm")),
        ("linux/arm/v7", Platform("linux", "arm")),
        ("linux/arm/6", Platform("linux", "arm", "v6")),
        ("linux", platforms.local()),
        ("", platforms.local()),
    ],
)
def test_platforms_are_read(text: str, platform: Platform) -> None:
    assert platforms.parse(text) == platform


@pytest.mark.parametrize("text", ["linux/amd64/v1/x", "li nux", "linux//v8", "/"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        platforms.parse(text)


def test_an_older_variant_does_and_a_newer_one_does_not() -> None:
    seven, six = platforms.parse("linux/arm/v7"), platforms.parse("linux/arm/v6")
    assert platforms.runs(six, seven)
    assert not platforms.runs(seven, six)
    assert not platforms.runs(platforms.parse("linux/arm64"), seven)
