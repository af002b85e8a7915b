"""Tell what a build context is from its name alone: a directory, stdin, a git repository, a download, an image.

Parsing only: nothing is opened and no host is asked. A word that looks local stays local, so `./x.git` is a directory.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit, urlunsplit

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

_PROTOCOL = re.compile(r"([a-zA-Z0-9]+)://")
_SCP = re.compile(r"([a-zA-Z0-9_-]+)@([a-zA-Z0-9.-]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?\Z", re.DOTALL)
_GIT_SCHEMES = frozenset({"http", "https", "ssh", "git"})
_ALWAYS_GIT = frozenset({"ssh", "git"})
_BOOLEANS = {
    **dict.fromkeys(("", "1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_MAY_BE_EMPTY = frozenset({"submodules", "keep-git-dir"})
_SAFE_REF = re.compile(r"(?!-)[^\s\x00-\x1f\x7f~^:?*\[\\]*\Z")
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}\Z")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the client, as written."""

    path: str


@dataclass(frozen=True, slots=True)
class Stdin:
    """`-`: an archive, or a Dockerfile alone, from standard input."""


@dataclass(frozen=True, slots=True)
class Git:
    """A repository: `ref` is a branch, tag or commit ("" for the default branch), `subdir` relative, "" for its root.

    `checksum` is the commit that the ref must be; None for a switch that the URL does not set.
    """

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """An archive (or a Dockerfile alone) to be fetched."""

    url: str


@dataclass(frozen=True, slots=True)
class Image:
    """`docker-image://name`: the files of an image."""

    name: str


@dataclass(frozen=True, slots=True)
class OciLayout:
    """`oci-layout://path[:tag][@digest]`: an image in a directory of the client."""

    path: str
    tag: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """`target:stage` of the same build, or `service:name`: the image of another service."""

    kind: Literal["target", "service"]
    name: str


ContextRef: TypeAlias = Directory | Stdin | Git | Download | Image | OciLayout | Target


def parse(text: str) -> ContextRef:
    """What the word for a context means; a plain word is a directory. Raises InvalidParameter."""
    if text == "-":
        return Stdin()
    for prefix, build in _PREFIXES.items():
        if text.startswith(prefix):
            return build(text.removeprefix(prefix), text)
    git = parse_git(text)
    if git is not None:
        return git
    if text.lower().startswith(("http://", "https://")):
        return Download(text)
    return Directory(text)


def parse_git(text: str) -> Git | None:
    """A git reference, None if the text is something else; also what ADD asks of its sources.

    http and https are git only where the path ends in `.git`. Raises InvalidParameter for a query or ref that means nothing.
    """
    if text.startswith(("./", "../", "/")):
        return None
    if text.startswith("github.com/"):
        return _from_url(f"https://{text}", text)
    protocol = _PROTOCOL.match(text)
    if protocol:
        scheme = protocol[1].lower()
        if scheme not in _GIT_SCHEMES:
            return None
        return _from_url(text, text) if scheme in _ALWAYS_GIT or _is_repository(text) else None
    match = _SCP.match(text)
    if match is None:
        return None
    user, host, path, query, fragment = match.groups()
    return _checked(_with_query(_with_fragment(Git(f"{user}@{host}:{path}"), fragment or ""), query or "", text), text)


def _is_repository(url: str) -> bool:
    try:
        return urlsplit(url).path.endswith(".git")
    except ValueError:
        return False


def _from_url(url: str, text: str) -> Git:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidParameter(f'"{text}" is not a URL: {error}') from None
    remote = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    return _checked(_with_query(_with_fragment(Git(remote), parts.fragment), parts.query, text), text)


def _with_fragment(git: Git, fragment: str) -> Git:
    ref, _, subdir = fragment.partition(":")
    return replace(git, ref=ref, subdir=_inside(subdir))


def _with_query(git: Git, query: str, text: str) -> Git:
    """`?ref= &tag= &branch= &subdir= &checksum= &keep-git-dir= &submodules=`."""
    try:
        pairs = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise InvalidParameter(f"{text}: {str(error).lower()}") from None
    values = {}
    for name, given in pairs.items():
        if len(given) > 1:
            raise InvalidParameter(f'{text}: query "{name}" has multiple values')
        if not given[0] and name not in _MAY_BE_EMPTY:
            raise InvalidParameter(f'{text}: query "{name}" has no value')
        values[name] = given[0]
    ref = git.ref
    for name, prefix in (("ref", ""), ("tag", "refs/tags/"), ("branch", "refs/heads/")):
        if name not in values:
            continue
        wanted = values.pop(name)
        wanted = wanted if wanted.startswith(prefix) else prefix + wanted
        if ref and ref != wanted:
            raise InvalidParameter(f'{text}: ref conflicts: "{ref}" vs "{wanted}"')
        ref = wanted
    subdir = _inside(values.pop("subdir", git.subdir))
    if git.subdir and subdir != git.subdir:
        raise InvalidParameter(f'{text}: subdir conflicts: "{git.subdir}" vs "{subdir}"')
    checksum = values.pop("checksum", "")
    commit = values.pop("commit", checksum)
    if checksum and commit != checksum:
        raise InvalidParameter(f'{text}: checksum conflicts: "{checksum}" vs "{commit}"')
    keep, submodules = (_switch(name, values.pop(name, None), text) for name in ("keep-git-dir", "submodules"))
    for name in values:
        raise InvalidParameter(f'{text}: unexpected query "{name}"')
    return replace(git, ref=ref, subdir=subdir, checksum=commit, keep_git_dir=keep, submodules=submodules)


def _switch(name: str, value: str | None, text: str) -> bool | None:
    if value is None:
        return None
    if value not in _BOOLEANS:
        raise InvalidParameter(f'{text}: invalid {name} value: "{value}"')
    return _BOOLEANS[value]


def _checked(git: Git, text: str) -> Git:
    """Nothing that git would take for an option, and no ref that it could not have."""
    if not _SAFE_REF.match(git.ref):
        raise InvalidParameter(f'{text}: "{git.ref}" is not a git reference')
    host = git.remote.rpartition("://")[2]
    if host.startswith("-") or "@-" in host or any(ord(char) < 32 for char in git.remote):
        raise InvalidParameter(f"{text}: not a git URL")
    return git


def _inside(path: str) -> str:
    """A path below the repository's root, whatever `..` it holds."""
    return posixpath.normpath(f"/{path}").lstrip("/")


def _image(name: str, text: str) -> Image:
    if not name:
        raise InvalidParameter(f"{text}: no image is named")
    return Image(name)


def _oci_layout(rest: str, text: str) -> OciLayout:
    rest, _, digest = rest.partition("@")
    if digest and not _DIGEST.match(digest):
        raise InvalidParameter(f'{text}: "{digest}" is not a digest')
    path, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        path, tag = rest, ""
    if not path:
        raise InvalidParameter(f"{text}: no directory is named")
    return OciLayout(path, tag or ("" if digest else "latest"), digest)


def _target(kind: Literal["target", "service"], name: str, text: str) -> Target:
    if not name:
        raise InvalidParameter(f"{text}: no {kind} is named")
    return Target(kind, name)


def _stage(name: str, text: str) -> Target:
    return _target("target", name, text)


def _service(name: str, text: str) -> Target:
    return _target("service", name, text)


_PREFIXES: dict[str, Callable[[str, str], ContextRef]] = {
    "docker-image://": _image,
    "oci-layout://": _oci_layout,
    "target:": _stage,
    "service:": _service,
}
