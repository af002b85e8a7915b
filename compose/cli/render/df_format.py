"""Show what is on disk as `docker system df` does: four rows, or with -v every image, container and volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.cli.render import gotemplate, humanise, images_format, listing, ps_format
from compose.cli.render.table import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo

    Row = Mapping[str, Any]

HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
ALIVE = frozenset({"running", "paused", "restarting"})

IMAGE_COLUMNS = {
    "REPOSITORY": "Repository",
    "TAG": "Tag",
    "IMAGE ID": "ID",
    "CREATED": "CreatedSince",
    "SIZE": "Size",
    "SHARED SIZE": "SharedSize",
    "UNIQUE SIZE": "UniqueSize",
    "CONTAINERS": "Containers",
}
CONTAINER_COLUMNS = {
    "CONTAINER ID": "ID",
    "IMAGE": "Image",
    "COMMAND": "Command",
    "LOCAL VOLUMES": "LocalVolumes",
    "SIZE": "Size",
    "CREATED": "RunningFor",
    "STATUS": "Status",
    "NAMES": "Names",
}
VOLUME_COLUMNS = {"VOLUME NAME": "Name", "LINKS": "Links", "SIZE": "Size"}
CACHE_COLUMNS = {
    "CACHE ID": "ID",
    "CACHE TYPE": "CacheType",
    "SIZE": "Size",
    "CREATED": "CreatedSince",
    "LAST USED": "LastUsedSince",
    "SHARED": "Shared",
}


def summary(usage: Row) -> list[dict[str, str]]:
    """A row for images, containers, volumes and build cache, keys in alphabetical order."""
    images, containers, volumes = usage["Images"], usage["Containers"], usage["Volumes"]
    unique = sum(each["Size"] - each["SharedSize"] for each in images if each["Containers"])
    cache = usage["BuildCache"]
    built = _sum(cache, _cache_size)
    rest = _sum(containers, _size_rw, lambda each: each["State"]["Status"] not in ALIVE)
    unused = _sum(volumes, _volume_size, lambda each: not each["UsageData"]["RefCount"])
    return [
        _row("Images", images, lambda each: each["Containers"], usage["LayersSize"], usage["LayersSize"] - unique),
        _row("Containers", containers, lambda each: each["State"]["Status"] in ALIVE, _sum(containers, _size_rw), rest),
        _row("Local Volumes", volumes, lambda each: each["UsageData"]["RefCount"], _sum(volumes, _volume_size), unused),
        {
            **_row("Build Cache", cache, _in_use, built, 0),
            "Reclaimable": humanise.size(built - _sum(cache, _cache_size, _in_use)),
        },
    ]


def render(usage: Row, format: str) -> str:
    """The summary as a table, JSON lines, a Go template or `table` and a template. Raises UsageError."""
    default = "table " + r"\t".join(f"{{{{.{name}}}}}" for name in HEADERS)
    return listing.render(summary(usage), format, default, HEADERS)


def verbose(usage: Row, format: str, now: float, zone: tzinfo | None = None) -> str:
    """Every image, container, volume and cache record: tables, JSON or a Go template over `Images`, `Containers`, ..."""
    whole = {
        "Images": [_image(each, now, zone) for each in usage["Images"]],
        "Containers": [_container(each, now, zone) for each in usage["Containers"]],
        "Volumes": [_volume(each) for each in usage["Volumes"]],
        "BuildCache": [_cache(each, now) for each in usage["BuildCache"]],
    }
    if format == "json":
        return gotemplate.to_json(whole) + "\n"
    if format not in ("", "table"):
        return gotemplate.render(gotemplate.compile_format(format), whole, {}) + "\n"
    cache = humanise.size(_sum(usage["BuildCache"], _cache_size))
    images = [{**each, "ID": _short(each["ID"])} for each in whole["Images"]]
    containers = [{**each, "ID": each["ID"][:12]} for each in whole["Containers"]]
    return (
        f"Images space usage:\n\n{_table(IMAGE_COLUMNS, images)}\n"
        f"Containers space usage:\n\n{_table(CONTAINER_COLUMNS, containers)}\n"
        f"Local Volumes space usage:\n\n{_table(VOLUME_COLUMNS, whole['Volumes'])}\n"
        f"Build cache usage: {cache}\n\n{_table(CACHE_COLUMNS, whole['BuildCache'])}"
    )


def _row(
    kind: str, objects: Sequence[Row], is_active: Callable[[Row], Any], size: int, reclaimable: int
) -> dict[str, str]:
    share = f" ({reclaimable * 100 // size}%)" if size > 0 else ""
    return {
        "Active": str(sum(bool(is_active(each)) for each in objects)),
        "Reclaimable": humanise.size(reclaimable) + share,
        "Size": humanise.size(size),
        "TotalCount": str(len(objects)),
        "Type": kind,
    }


def _sum(objects: Iterable[Row], size: Callable[[Row], int], wanted: Callable[[Row], bool] = lambda _each: True) -> int:
    return sum(size(each) for each in objects if wanted(each))


def _size_rw(container: Row) -> int:
    return int(container["SizeRw"])


def _volume_size(volume: Row) -> int:
    return max(int(volume["UsageData"]["Size"]), 0)


def _cache_size(record: Row) -> int:
    """A layer that an image has too is counted there."""
    return 0 if record["Shared"] else int(record["Size"])


def _in_use(record: Row) -> bool:
    return bool(record["InUse"])


def _image(image: Row, now: float, zone: tzinfo | None) -> dict[str, str]:
    repository, tag = images_format.split_tag(
        next(iter(image["RepoTags"]), f"{images_format.NONE}:{images_format.NONE}")
    )
    return {
        **images_format.fields(image, repository, tag, "", now, zone, truncate=False),
        "Containers": str(image["Containers"]),
        "SharedSize": humanise.size(image["SharedSize"]),
        "UniqueSize": humanise.size(image["Size"] - image["SharedSize"]),
    }


def _container(container: Any, now: float, zone: tzinfo | None) -> dict[str, Any]:
    found = ps_format.fields(container, now, zone=zone)
    keys = ("Command", "CreatedAt", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks", "Ports")
    return {
        **{key: found[key] for key in keys},
        **{key: found[key] for key in ("RunningFor", "State", "Status")},
        "ID": container["Id"],
        "Size": humanise.size(container["SizeRw"], 3),
    }


def _volume(volume: Row) -> dict[str, str]:
    size = volume["UsageData"]["Size"]
    return {
        "Driver": volume["Driver"],
        "Labels": listing.labels(volume["Labels"]),
        "Links": str(volume["UsageData"]["RefCount"]),
        "Mountpoint": volume["Mountpoint"],
        "Name": volume["Name"],
        "Scope": volume["Scope"],
        "Size": humanise.size(size) if size >= 0 else "N/A",
    }


def _cache(record: Row, now: float) -> dict[str, str]:
    return {
        "CacheType": record["Type"],
        "CreatedSince": _ago(record["CreatedAt"], now),
        "Description": record["Description"],
        "ID": record["ID"][:12],
        "InUse": str(record["InUse"]).lower(),
        "LastUsedSince": _ago(record["LastUsedAt"], now),
        "Shared": str(record["Shared"]).lower(),
        "Size": humanise.size(record["Size"], 3),
    }


def _ago(text: str, now: float) -> str:
    moment = humanise.parse_time(text)
    return f"{humanise.duration(now - moment)} ago" if moment is not None else ""


def _table(columns: Mapping[str, str], rows: Iterable[Row]) -> str:
    return table([[*columns], *([row[key] for key in columns.values()] for row in rows)])


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
