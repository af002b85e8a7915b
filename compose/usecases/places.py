"""Say where in the project's files the cause of an engine error was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.reconcile import labels
from runtime.errors import KINDS, EngineError

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.model.project import Project
    from runtime.wire.plan import Operation

ATTRIBUTES: tuple[tuple[str, str], ...] = (
    ("port", "ports"),
    ("image", "image"),
    ("source", "volumes"),
    ("mount", "volumes"),
    ("volume", "volumes"),
    ("executable", "command"),
    ("command", "command"),
    ("user", "user"),
    ("device", "devices"),
    ("capability", "cap_add"),
    ("ulimit", "ulimits"),
    ("sysctl", "sysctls"),
)
"""A field of the error, and the service's attribute that it is about."""
WORDS: tuple[tuple[str, str], ...] = (
    ("port is already", "ports"),
    ("address already in use", "ports"),
    ("bind source path", "volumes"),
    ("executable file not found", "command"),
    ("container name", "container_name"),
)
"""What its message says, for errors without such a field."""
SECTIONS = {"network": ("networks", labels.NETWORK), "volume": ("volumes", labels.VOLUME)}


def with_place(error: EngineError, operation: Operation, project: Project) -> EngineError:
    """The error with `file:line:column: ` in front, if what failed stands in a file of the project."""
    mark = _mark(error, operation, project)
    if mark is None or error.message.startswith(str(mark.file)):
        return error
    return KINDS.get(error.kind, EngineError)(f"{mark}: {error.message}", **error.fields)


def image_mark(project: Project, service: str) -> SourceMark | None:
    """Where a service says its image, or the service itself stands."""
    return _first(project, f"services.{service}.image", f"services.{service}")


def _mark(error: EngineError, operation: Operation, project: Project) -> SourceMark | None:
    args: dict[str, Any] = operation.get("args", {})
    if operation.get("kind") == "KillContainer":
        return None  # what is wrong with a signal stands on the command line
    if "Reference" in args:
        return image_mark(project, operation.get("resource", "").partition(" ")[2].partition(":")[0])
    resource, _, name = operation.get("resource", "").partition(" ")
    if resource in SECTIONS:
        section, label = SECTIONS[resource]
        key = (args.get("Labels") or {}).get(label, "")
        return _first(project, f"{section}.{key}") if key else None
    service = _service(args, name, project)
    if not service:
        return None
    owner = f"services.{service}"
    return _first(project, *(f"{owner}.{each}" for each in _attributes(error)), owner)


def _attributes(error: EngineError) -> list[str]:
    by_field = [attribute for field, attribute in ATTRIBUTES if field in error.fields]
    by_word = [attribute for words, attribute in WORDS if words in error.message]
    found = by_field + by_word
    return [*found, "entrypoint"] if "command" in found else found


def _service(args: dict[str, Any], name: str, project: Project) -> str:
    said = ((args.get("Config") or {}).get("Labels") or {}).get(labels.SERVICE, "")
    if said:
        return str(said)
    for service in project.services.values():
        base = project.separator.join((project.name, service.name, ""))
        if name == service.container_name or (name.startswith(base) and name[len(base) :].isdigit()):
            return service.name
    return ""


def _first(project: Project, *paths: str) -> SourceMark | None:
    return next((mark for mark in map(project.mark, paths) if mark is not None), None)
