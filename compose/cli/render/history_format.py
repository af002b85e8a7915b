"""Show an image's history as `docker image history` does: the newest first, a row for each entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.cli.render import humanise, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
TABLE = r"table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
PLAIN_TABLE = r"table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
LONGEST = 45
"""Characters of a command in a table."""
SHORT_ID = 12
UNKNOWN = "N/A"


def render(entries: Iterable[Mapping[str, Any]], format: str, now: float, *, truncate: bool, human: bool) -> str:
    """Entries of the engine's image details as a table, `json` lines or a Go template. Raises UsageError."""
    rows = [fields(entry, now, truncate=truncate, human=human) for entry in entries]
    return listing.render(rows, format, TABLE if human else PLAIN_TABLE, HEADERS)


def fields(entry: Mapping[str, Any], now: float, *, truncate: bool, human: bool) -> dict[str, str]:
    """Everything a template may name, keys in alphabetical order as Docker prints them."""
    created = humanise.parse_time(str(entry.get("Created") or ""))
    command = str(entry.get("CreatedBy") or "").replace("\t", " ")
    if truncate and len(command) > LONGEST:
        command = command[: LONGEST - 1] + "…"
    identity = str(entry["Id"])
    size = int(entry.get("Size") or 0)
    return {
        "Comment": str(entry.get("Comment") or ""),
        "CreatedAt": str(entry.get("Created") or ""),
        "CreatedBy": command,
        "CreatedSince": f"{humanise.duration(now - created)} ago" if created is not None else UNKNOWN,
        "ID": identity.removeprefix("sha256:")[:SHORT_ID] if truncate else identity,
        "Size": humanise.size(size, 3) if human else str(size),
    }
