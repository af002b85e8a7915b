"""Show containers as `ps` does: Compose's table, its JSON lines, or a template over the same fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.cli.render import gotemplate, humanise
from compose.cli.render.table import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from runtime.wire.containers import ContainerInspect

DEFAULT = "table {{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}"
HEADERS = {
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "Names": "NAMES",
    "Project": "PROJECT",
    "Service": "SERVICE",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"


def render(
    containers: Iterable[ContainerInspect],
    format: str,
    now: float,
    *,
    truncate: bool = True,
    zone: tzinfo | None = None,
) -> str:
    """The containers in the form asked for: `table`, `json`, a Go template or `table` and a template."""
    if format == "json":
        rows = (fields(container, now, truncate=truncate, zone=zone) for container in containers)
        return "".join(gotemplate.to_json(row) + "\n" for row in rows)
    source = DEFAULT if format in ("", "table") else format
    parts = gotemplate.compile_format(source)
    lines = []
    for container in containers:
        labels = _labels(container)
        row = fields(container, now, truncate=truncate, zone=zone)
        lines.append(gotemplate.render(parts, row, {"Label": lambda name, found=labels: found.get(name, "")}))
    if not gotemplate.is_table(source):
        return "".join(f"{line}\n" for line in lines)
    return table(line.split("\t") for line in [gotemplate.header(parts, HEADERS), *lines])


def fields(
    container: ContainerInspect, now: float, *, truncate: bool = True, zone: tzinfo | None = None
) -> dict[str, Any]:
    """Everything a template may name, keys in alphabetical order as Compose prints them."""
    labels = _labels(container)
    state = container.get("State", {})
    status = state.get("Status", "")
    created = humanise.parse_time(container.get("Created", "")) or now
    mounts = container.get("Mounts", [])
    names = [mount.get("Name") or mount.get("Source", "") for mount in mounts]
    publishers = publishers_of(container)
    name = container.get("Name", "").removeprefix("/")
    text = command(container)
    return {
        "Command": _quote(ellipsis(text, 20) if truncate else text),
        "CreatedAt": humanise.go_time(created, zone),
        "ExitCode": state.get("ExitCode", 0) if status in ("exited", "dead") else 0,
        "Health": _health(container) if status == "running" else "",
        "ID": container.get("Id", "")[:12] if truncate else container.get("Id", ""),
        "Image": container.get("Config", {}).get("Image", ""),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in mounts)),
        "Mounts": ",".join(ellipsis(each, 15) if truncate else each for each in names),
        "Name": name,
        "Names": name,
        "Networks": ",".join(container.get("NetworkSettings", {}).get("Networks", {})),
        "Ports": ports(publishers),
        "Project": labels.get(PROJECT, ""),
        "Publishers": publishers,
        "RunningFor": f"{humanise.duration(now - created)} ago",
        "Service": labels.get(SERVICE, ""),
        "Size": "0B",
        "State": status,
        "Status": humanise.status(state, now),
    }


def command(container: ContainerInspect) -> str:
    """Path and arguments of pid 1; an argument with a space stands in quotes, as in Docker's list."""
    arguments = [f"'{each}'" if " " in each else each for each in container.get("Args", [])]
    return " ".join([container.get("Path", ""), *arguments])


def publishers_of(container: ContainerInspect) -> list[dict[str, Any]]:
    """The ports of a container, published and exposed, by port inside."""
    found: list[dict[str, Any]] = []
    for key, bindings in (container.get("NetworkSettings", {}).get("Ports") or {}).items():
        port, _, protocol = key.partition("/")
        target = int(port) if port.isdigit() else 0
        for binding in bindings or [{}]:
            published = str(binding.get("HostPort") or "")
            found.append(
                {
                    "URL": binding.get("HostIp", ""),
                    "TargetPort": target,
                    "PublishedPort": int(published) if published.isdigit() else 0,
                    "Protocol": protocol or "tcp",
                }
            )
    return sorted(found, key=lambda each: (each["TargetPort"], each["Protocol"], each["URL"], each["PublishedPort"]))


def ports(publishers: Sequence[Mapping[str, Any]]) -> str:
    """`0.0.0.0:8080->80/tcp, 443/tcp`; equal and consecutive ports are joined to a range, as Docker does."""
    done: list[str] = []
    mappings: list[str] = []
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    order = sorted(publishers, key=lambda p: (p["TargetPort"], p["URL"], p["PublishedPort"], p["Protocol"]))
    for each in order:
        current, address = each["TargetPort"], each["URL"]
        if address and each["PublishedPort"] != current:
            mappings.append(f"{_host_port(address, str(each['PublishedPort']))}->{current}/{each['Protocol']}")
            continue
        key = (address, each["Protocol"])
        first, last = groups.get(key, (current, current - 1))
        if current != last + 1:
            done.append(_range(key, first, last))
            first = current
        groups[key] = (first, current)
    done += [_range(key, first, last) for key, (first, last) in groups.items()]
    return ", ".join([*done, *mappings])


def ellipsis(text: str, width: int) -> str:
    """The text cut to a width, its last character an ellipsis then."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _range(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_host_port(address, span)}->{span}/{protocol}" if address else f"{span}/{protocol}"


def _host_port(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _labels(container: ContainerInspect) -> dict[str, str]:
    return container.get("Config", {}).get("Labels") or {}


def _health(container: ContainerInspect) -> str:
    found = container.get("State", {}).get("Health", {}).get("Status", "")
    return "" if found == "none" else found


def _quote(text: str) -> str:
    """Go's strconv.Quote, as far as a command line needs it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for written, meant in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        escaped = escaped.replace(written, meant)
    return f'"{escaped}"'
