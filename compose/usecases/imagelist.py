"""Find the images that Docker's `image ls` would show: filters, and a pattern for names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.usecases.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.client.client import Client

FILTERS = ("before", "dangling", "label", "reference", "since", "until")


def listed(
    client: Client, given: Iterable[str], until: Callable[[str], float], pattern: str = ""
) -> list[dict[str, Any]]:
    """Images that pass the filters, the newest first, with those of their names that match.

    `pattern`: a repository, with or without a tag, `*` and `?` allowed; `until` makes seconds of that filter's text.
    Raises ComposeError for filters that there are not, the engine's error for images named in them.
    """
    filters = Filters([*given, *([f"reference={pattern}"] if pattern else [])], FILTERS)
    dangling = filters.boolean("dangling")
    newer = [_created(client.image(name)) for name in filters.values("since")]
    older = [_created(client.image(name)) for name in filters.values("before")]
    older += [until(text) for text in filters.values("until")]
    references = [_glob(text) for text in filters.values("reference")]
    found = []
    for image in client.images():
        tags = _matching(image["RepoTags"], references)
        created = _created(image)
        if (
            (dangling is None or dangling == (not image["RepoTags"]))
            and filters.labelled(image["Labels"])
            and (tags or not references)
            and all(created > moment for moment in newer)
            and all(created < moment for moment in older)
        ):
            found.append({**image, "RepoTags": tags})
    return sorted(found, key=_created, reverse=True)


def _matching(tags: Sequence[str], references: Sequence[re.Pattern[str]]) -> list[str]:
    """Tags whose repository, or whose repository and tag, one of the patterns describes; all without a pattern."""
    if not references:
        return list(tags)
    return [
        tag for tag in tags if any(one.fullmatch(tag) or one.fullmatch(tag.rpartition(":")[0]) for one in references)
    ]


def _glob(text: str) -> re.Pattern[str]:
    """Go's path.Match as a regular expression: no `*` or `?` crosses a slash."""
    pieces = re.split(r"(\*|\?|\[[^\]]*\])", text)
    known = {"*": "[^/]*", "?": "[^/]"}
    try:
        return re.compile("".join(known.get(p, p if p.startswith("[") and p[1:] else re.escape(p)) for p in pieces))
    except re.error as error:
        raise ComposeError(f"invalid filter 'reference={text}': {error}") from error


def _created(image: Mapping[str, Any]) -> float:
    """Seconds since the epoch; 0 for an image that does not say it, or not in RFC 3339."""
    try:
        moment = datetime.fromisoformat(str(image["Created"]))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
