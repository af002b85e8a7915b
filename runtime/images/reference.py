"""Image references after Docker's grammar: `[domain/]path[:tag][@digest]`, short forms completed with docker.io/library.

The same text must name the same image here and in Docker, so grammar, completion and messages are those of
distribution/reference; a digest is checked before anything builds a path or an address from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.errors import InvalidParameter

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[(?:[a-fA-F0-9:]+)\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_HEX64 = re.compile(r"[a-f0-9]{64}")
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A complete reference; `tag` and `digest` are empty where the text has none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """`docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """`busybox`, as users write it."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """`busybox:1.36`, the form shown to users."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """The reference with the tag `latest` if it names neither a tag nor a digest."""
        if self.tag or self.digest:
            return self
        return Reference(domain=self.domain, path=self.path, tag=DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Complete and check `text`; raises InvalidParameter with Docker's words."""
    if not text:
        raise InvalidParameter("invalid reference format: repository name must have at least one component")
    if _HEX64.fullmatch(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings", reference=text
        )
    domain, remainder = _split_domain(text)
    name = remainder.partition(":")[0]
    if name.lower() != name:
        raise InvalidParameter(f"invalid reference format: repository name ({name}) must be lowercase", reference=text)
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidParameter("invalid reference format", reference=text)
    if len(match["path"]) > MAX_NAME:
        raise InvalidParameter(f"repository name must not be more than {MAX_NAME} characters", reference=text)
    if match["digest"]:
        check_digest(match["digest"])
    return Reference(domain=match["domain"], path=match["path"], tag=match["tag"] or "", digest=match["digest"] or "")


def check_digest(digest: str) -> str:
    """Return `digest` if it is `algorithm:hex` of a known algorithm and exact length; raises InvalidParameter."""
    algorithm, colon, value = digest.partition(":")
    if not colon or not algorithm or not value:
        raise InvalidParameter("invalid checksum digest format", digest=digest)
    length = _LENGTHS.get(algorithm)
    if length is None:
        raise InvalidParameter("unsupported digest algorithm", digest=digest)
    if len(value) != length:
        raise InvalidParameter("invalid checksum digest length", digest=digest)
    if re.fullmatch(r"[a-f0-9]+", value) is None:
        raise InvalidParameter("invalid checksum digest format", digest=digest)
    return digest


def is_image_id(text: str) -> bool:
    """Whether `text` is a whole image id, with or without `sha256:`."""
    return _HEX64.fullmatch(text.removeprefix("sha256:")) is not None


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, OFFICIAL + text
    # the first component is a host only if it cannot be a namespace
    is_host = first in ("localhost", LEGACY_DOMAIN) or "." in first or ":" in first or first.lower() != first
    domain, remainder = (first, rest) if is_host else (DEFAULT_DOMAIN, text)
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL + remainder
    return domain, remainder
