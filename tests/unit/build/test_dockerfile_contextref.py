"""Build contexts by name."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile.contextref import (
    ContextRef,
    Directory,
    Download,
    Git,
    Image,
    OciLayout,
    Stdin,
    Target,
    parse,
    parse_git,
)
from runtime.errors import InvalidParameter

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".", Directory(".")),
        ("/srv/app", Directory("/srv/app")),
        ("./x.git", Directory("./x.git")),
        ("app", Directory("app")),
        ("ftp://h/x", Directory("ftp://h/x")),
        ("-", Stdin()),
        ("https://h/x.tar.gz", Download("https://h/x.tar.gz")),
        ("http://h/x", Download("http://h/x")),
        ("https://h/u/r.git", Git("https://h/u/r.git")),
        ("https://h/u/r.git#main", Git("https://h/u/r.git", "main")),
        ("https://h/u/r.git#main:sub/dir", Git("https://h/u/r.git", "main", "sub/dir")),
        ("https://h/u/r.git#:sub", Git("https://h/u/r.git", "", "sub")),
        ("https://h/u/r.git#a/b:../../x", Git("https://h/u/r.git", "a/b", "x")),
        ("git://h/r", Git("git://h/r")),
        ("ssh://git@h:22/r#v1", Git("ssh://git@h:22/r", "v1")),
        ("git@github.com:u/r.git#main:d", Git("git@github.com:u/r.git", "main", "d")),
        ("git@github.com:u/r", Git("git@github.com:u/r")),
        ("github.com/u/r", Git("https://github.com/u/r")),
        ("github.com/u/r.git#x", Git("https://github.com/u/r.git", "x")),
        ("https://h/r.git?branch=main&subdir=a", Git("https://h/r.git", "refs/heads/main", "a")),
        ("https://h/r.git?tag=v1", Git("https://h/r.git", "refs/tags/v1")),
        ("https://h/r.git?ref=x&checksum=abc", Git("https://h/r.git", "x", checksum="abc")),
        (
            "https://h/r.git?keep-git-dir=1&submodules=false",
            Git("https://h/r.git", keep_git_dir=True, submodules=False),
        ),
        ("https://h/r.git?keep-git-dir", Git("https://h/r.git", keep_git_dir=True)),
        ("docker-image://alpine:3", Image("alpine:3")),
        ("oci-layout://dir", OciLayout("dir", "latest")),
        ("oci-layout:///a/b:v1", OciLayout("/a/b", "v1")),
        (f"oci-layout://../d:v1@{DIGEST}", OciLayout("../d", "v1", DIGEST)),
        (f"oci-layout://d@{DIGEST}", OciLayout("d", "", DIGEST)),
        ("service:web", Target("service", "web")),
        ("target:base", Target("target", "base")),
    ],
)
def test_a_context_is_told_by_its_name(text: str, found: ContextRef) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://h/r.git?foo=1", 'unexpected query "foo"'),
        ("https://h/r.git?ref=", 'query "ref" has no value'),
        ("https://h/r.git?ref=a&ref=b", 'query "ref" has multiple values'),
        ("https://h/r.git?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("https://h/r.git?tag=a&branch=b", "ref conflicts"),
        ("https://h/r.git?subdir=a#x:b", "subdir conflicts"),
        ("https://h/r.git?submodules=maybe", "invalid submodules value"),
        ("https://h/r.git?" + "&".join(f"q{number}=1" for number in range(50)), "max number of fields"),
        ("https://h/r.git#--upload-pack=x", "is not a git reference"),
        ("https://h/r.git#a b", "is not a git reference"),
        ("ssh://-oProxyCommand=x/r", "not a git URL"),
        ("git@-oProxyCommand:x", "not a git URL"),
        ("oci-layout://", "no directory is named"),
        ("oci-layout://d@sha256:zz", "is not a digest"),
        ("docker-image://", "no image is named"),
        ("service:", "no service is named"),
        ("target:", "no target is named"),
        ("ssh://[::1/r", "is not a URL"),
    ],
)
def test_what_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=".") as caught:
        parse(text)
    assert message in caught.value.message


def test_add_asks_whether_a_source_is_git() -> None:
    assert parse_git("https://h/x.tar") is None
    assert parse_git("a.git") is None
    assert parse_git("https://h/x.git") == Git("https://h/x.git")
