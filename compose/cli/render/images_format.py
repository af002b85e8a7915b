"""Show images as `docker image ls` does: a row for each name, as a table, JSON lines or a Go template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.cli.render import humanise, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import tzinfo

HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
    "Containers": "CONTAINERS",
}
COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
COLUMNS_WITH_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
NONE = "<none>"
UNKNOWN = "N/A"
SHORT_ID = 12


def render(rows: Iterable[Mapping[str, str]], format: str, *, digests: bool = False) -> str:
    """Rows as a table, `json` lines, a Go template or `table` and a template. Raises UsageError."""
    columns = COLUMNS_WITH_DIGESTS if digests else COLUMNS
    return listing.render(rows, format, "table " + r"\t".join(f"{{{{.{name}}}}}" for name in columns), HEADERS)


def rows_of(
    image: Mapping[str, Any], now: float, zone: tzinfo | None = None, *, truncate: bool = True
) -> Iterator[dict[str, str]]:
    """A row for each name of an image; one by digest where it has no tag, one without a name where it has neither."""
    digests = dict(text.split("@", 1) for text in image["RepoDigests"])
    names = [split_tag(tag) for tag in image["RepoTags"]] or [(name, NONE) for name in digests] or [(NONE, NONE)]
    for repository, tag in names:
        yield fields(image, repository, tag, digests.get(repository, NONE), now, zone, truncate=truncate)


def fields(
    image: Mapping[str, Any],
    repository: str,
    tag: str,
    digest: str,
    now: float,
    zone: tzinfo | None = None,
    *,
    truncate: bool = True,
) -> dict[str, str]:
    """Everything a template may name, keys in alphabetical order as Docker prints them."""
    created = humanise.parse_time(str(image.get("Created") or ""))
    identity = str(image["Id"])
    return {
        "Containers": UNKNOWN,
        "CreatedAt": humanise.go_time(created, zone) if created is not None else UNKNOWN,
        "CreatedSince": f"{humanise.duration(now - created)} ago" if created is not None else UNKNOWN,
        "Digest": digest,
        "ID": identity.removeprefix("sha256:")[:SHORT_ID] if truncate else identity,
        "Repository": repository,
        "SharedSize": UNKNOWN,
        "Size": humanise.size(int(image["Size"]), 3),
        "Tag": tag,
        "UniqueSize": UNKNOWN,
        "VirtualSize": humanise.size(int(image["Size"])),
    }


def split_tag(text: str) -> tuple[str, str]:
    """Repository and tag of a familiar name that has one."""
    repository, _, tag = text.rpartition(":")
    return repository, tag
