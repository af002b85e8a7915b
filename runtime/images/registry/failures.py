"""Say in Docker's phrases what a registry answered; its own words are shown with control characters escaped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, Forbidden, InvalidParameter, NotFound, SystemFailure, Unavailable
from runtime.images.tarstream import shown

if TYPE_CHECKING:
    from runtime.images.reference import Reference

MAX_BODY: Final = 1 << 16
_MAX_TEXT: Final = 300
_STATUS: Final = {
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_PULL_PATTERNS: Final = frozenset({"MANIFEST_UNKNOWN", "NOT_FOUND"})


def failure(reference: Reference, status: int, body: bytes, *, push: bool = False, what: str = "") -> EngineError:
    """The error for an answer that is none of those hoped for; `what` names a part of the image (`blob sha256:...`)."""
    code, text = _first(body)
    name = reference.familiar_name
    if status in (401, 403) or code in ("DENIED", "UNAUTHORIZED", "NAME_UNKNOWN"):
        return denied(reference, text, push=push)
    if status == 404 and not push:
        if what:
            return NotFound(f"image {reference.familiar}: {what} is not in the registry: {text or 'not found'}")
        known = code in _PULL_PATTERNS or not code
        return NotFound(
            f"manifest for {reference.familiar} not found: manifest unknown: {'' if known else code.lower() + ': '}"
            f"{text or 'manifest unknown'}",
            image=reference.familiar,
        )
    part = f"{what}: " if what else ""
    if status == 429 or code == "TOOMANYREQUESTS":
        return Unavailable(f"image {name}: {part}toomanyrequests: {text or 'the registry asks to come back later'}")
    said = f": {text}" if text else ""
    words = f"{status} {_STATUS.get(status, '')}".strip()
    kind = Unavailable if status >= 500 else InvalidParameter
    return kind(f"image {name}: {part}received unexpected HTTP status from {reference.domain}: {words}{said}")


def denied(reference: Reference, text: str = "", *, push: bool = False) -> EngineError:
    """Docker's answer where a registry does not say whether a repository exists."""
    name, said = reference.familiar_name, f": {text}" if text else ""
    todo = f"(log in with `pycompose login{'' if reference.domain == 'docker.io' else f' {reference.domain}'}`)"
    if push:
        return Forbidden(
            f"push access denied for {name}, repository does not exist or may require authorization{said} {todo}"
        )
    return NotFound(
        f"pull access denied for {name}, repository does not exist or may require 'docker login'{said} {todo}",
        image=reference.familiar,
    )


class LoginFailed(Forbidden):
    """The authority refused the credentials."""


def login_failure(registry: str, status: int, body: bytes, *, anonymous: bool) -> EngineError:
    """The error for an authority's answer other than 200."""
    _, text = _first(body)
    if status in (401, 403):
        reason = text or ("anonymous access is not allowed" if anonymous else "incorrect username or password")
        return LoginFailed(f"registry {registry}: unauthorized: {reason}", text=reason)
    if status == 429 or status >= 500:
        return Unavailable(
            f"registry {registry}: its token service answered {status} {_STATUS.get(status, '')}".strip()
        )
    return SystemFailure(f"registry {registry}: its token service answered {status}{f': {text}' if text else ''}")


def words_of(body: bytes) -> str:
    """What an error answer says, if it says anything readable."""
    return _first(body)[1]


def _first(body: bytes) -> tuple[str, str]:
    """Code and message of the first error in an answer."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    listed = document.get("errors")
    entry = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else document
    code, text = entry.get("code"), entry.get("message") or entry.get("details") or entry.get("error_description")
    return (
        code if isinstance(code, str) else "",
        shown(str(text).encode("utf-8", "replace"))[:_MAX_TEXT] if isinstance(text, str) else "",
    )
