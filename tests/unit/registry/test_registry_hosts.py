"""Where a reference leads: hosts, schemes, mirrors, proxies."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidParameter, NotSupported
from runtime.images.reference import parse
from runtime.images.registry.hosts import endpoints, is_loopback
from runtime.images.registry.proxies import proxy_for


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("busybox", "https://registry-1.docker.io/v2/library/busybox"),
        ("docker.io/me/app:1", "https://registry-1.docker.io/v2/me/app"),
        ("index.docker.io/me/app", "https://registry-1.docker.io/v2/me/app"),
        ("ghcr.io/me/app", "https://ghcr.io/v2/me/app"),
        ("example.com:5000/app", "https://example.com:5000/v2/app"),
        ("[::1]:5000/app", "https://[::1]:5000/v2/app"),
    ],
)
def test_short_names_mean_docker_io_and_others_their_host(reference: str, url: str) -> None:
    parsed = parse(reference)
    [one] = endpoints(parsed, {})
    assert one.url(one.schemes[0], f"/v2/{parsed.path}") == url


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(
            ("localhost", True),
            ("localhost:5000", True),
            ("127.0.0.1:80", True),
            ("127.9.9.9", True),
            ("[::1]:5", True),
        ),
        *(("a.localhost", True), ("10.0.0.1", False), ("localhost.example.com", False), ("example.com", False)),
    ],
)
def test_only_this_machine_needs_no_certificate(host: str, local: bool) -> None:
    assert is_loopback(host) is local
    [one] = endpoints(parse(f"{host}/app"), {})
    assert one.verify is not local
    assert one.schemes == (("https", "http") if local else ("https",))


def test_settings_of_a_registry_are_its_own() -> None:
    settings: Any = {"example.com": {"insecure": True, "ca": "/ca.pem", "auth_hosts": ["sso.example.net"]}}
    [one] = endpoints(parse("example.com/app"), settings)
    assert (one.verify, one.ca, one.auth_hosts, one.schemes) == (
        *(False, "/ca.pem", ("sso.example.net",)),
        ("https", "http"),
    )
    [other] = endpoints(parse("example.com:5000/app"), settings)
    assert other.verify


def test_mirrors_are_asked_before_the_registry_and_never_pushed_to() -> None:
    settings: Any = {"docker.io": {"mirrors": ["https://mirror.example.com/hub", "http://10.0.0.1:5000"]}}
    found = endpoints(parse("busybox"), settings)
    assert [one.url(one.schemes[0], "/v2/") for one in found] == [
        "https://mirror.example.com/hub/v2/",
        "http://10.0.0.1:5000/v2/",
        "https://registry-1.docker.io/v2/",
    ]
    assert [one.name for one in endpoints(parse("busybox"), settings, push=True)] == ["docker.io"]


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://rose:pw@x", "https://x?y"])
def test_a_mirror_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidParameter, match="registry mirror"):
        endpoints(parse("busybox"), {"docker.io": {"mirrors": [url]}})


@pytest.mark.parametrize(
    ("url", "no_proxy", "used"),
    [
        ("https://example.com/", "", True),
        ("https://example.com/", "example.com", False),
        ("https://a.example.com/", "example.com", False),
        ("https://a.example.com/", ".example.com", False),
        ("https://example.com/", ".example.com", True),
        ("https://badexample.com/", "example.com", True),
        ("https://example.com:5000/", "example.com:5000", False),
        ("https://example.com:5001/", "example.com:5000", True),
        ("https://10.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", False),
        ("https://11.1.2.3/", "10.0.0.0/8", True),
        ("https://[fd00::1]/", "fd00::/8", False),
        ("https://example.com/", " other.test , EXAMPLE.com", False),
        ("https://example.com/", "*", False),
        ("https://localhost:5000/", "", False),
        ("https://127.0.0.1/", "", False),
    ],
)
def test_no_proxy_is_understood_as_docker_understands_it(url: str, no_proxy: str, used: bool) -> None:
    found = proxy_for(url, {"https_proxy": "http://proxy:3128", "no_proxy": no_proxy})
    assert found == ("http://proxy:3128" if used else "")


def test_each_scheme_has_its_proxy() -> None:
    said: Any = {"http_proxy": "one:1", "https_proxy": "http://two:2"}
    assert proxy_for("http://example.com", said) == "http://one:1"
    assert proxy_for("https://example.com", said) == "http://two:2"


def test_a_proxy_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(NotSupported, match="socks5"):
        proxy_for("https://example.com", {"https_proxy": "socks5://rose:secret@proxy"})
    with pytest.raises(InvalidParameter, match="no host"):
        proxy_for("https://example.com", {"https_proxy": "http://"})
