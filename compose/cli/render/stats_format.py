"""Show what containers use as `docker stats` does: rates from two readings, sizes in Docker's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.cli.render import gotemplate, humanise
from compose.cli.render.table import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADERS: Mapping[str, str] = {
    "ID": "CONTAINER ID",
    "Container": "CONTAINER",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
NOT_YET = "--"
SHORT_ID = 12


def row(before: Mapping[str, Any] | None, now: Mapping[str, Any], *, truncate: bool = True) -> dict[str, str]:
    """The fields of one container; without an earlier reading there is no rate yet."""
    identity, limit = str(now["Id"]), int(now["MemoryLimit"])
    return {
        "BlockIO": f"{humanise.size(now['BlockRead'], 3)} / {humanise.size(now['BlockWritten'], 3)}",
        "CPUPerc": f"{cpu_percent(before, now):.2f}%" if before is not None else NOT_YET,
        "Container": identity,
        "ID": identity[:SHORT_ID] if truncate else identity,
        "MemPerc": f"{100 * now['Memory'] / limit if limit else 0.0:.2f}%",
        "MemUsage": f"{binary_size(now['Memory'])} / {binary_size(limit)}",
        "Name": str(now["Name"]),
        "NetIO": f"{humanise.size(now['Received'], 3)} / {humanise.size(now['Sent'], 3)}",
        "PIDs": str(now["Pids"]),
    }


def cpu_percent(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """Share of one processor since the earlier reading, so that four busy processors are 400."""
    passed = now["Clock"] - before["Clock"]
    worked = now["CPU"] - before["CPU"]
    return 100.0 * worked / passed if passed > 0 and worked > 0 else 0.0


def binary_size(count: float) -> str:
    """Bytes in binary units with four significant digits: `23.54GiB`."""
    position = 0
    while count >= 1024 and position < len(BINARY_UNITS) - 1:
        count /= 1024
        position += 1
    return f"{count:.4g}{BINARY_UNITS[position]}"


def render(rows: Sequence[Mapping[str, str]], format: str) -> str:
    """`table`, `json` (an object a line), `table TEMPLATE` or a template. Raises UsageError for a bad template."""
    if format == "json":
        return "".join(f"{gotemplate.to_json(dict(each))}\n" for each in rows)
    if format in ("", "table"):
        return table([[HEADERS[name] for name in COLUMNS], *([each[name] for name in COLUMNS] for each in rows)])
    parts = gotemplate.compile_format(format)
    lines = [gotemplate.render(parts, each, {}) for each in rows]
    if not gotemplate.is_table(format):
        return "".join(f"{line}\n" for line in lines)
    head = gotemplate.header(parts, HEADERS)
    return table([line.split("\t") for line in (head, *lines)])
