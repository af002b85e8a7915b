"""Translate volumes, secrets and configs of a service into mounts and inline files.

Everything is a Mount, never Docker's `source:target:mode` string: a path may contain a colon. One target is mounted
once; a volume beats a secret, a secret a config.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, cast

from compose.errors import ComposeError
from compose.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compose.model.fileobject import FileObjectConfig
    from compose.model.mounts import FileReference, ServiceVolumeConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from runtime.wire.containers import InlineFile, Mount

DEFAULT_MODE = 0o444
RECURSIVE = {
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}


class FileUse(Record):
    """A secret or config in a service: where it goes and where it comes from."""

    kind: str
    target: str
    reference: FileReference
    source: FileObjectConfig


def mounts(project: Project, service: ServiceConfig) -> list[Mount]:
    """Docker's `Mounts`, in the order of the file."""
    found = {volume.target: _mount(project, volume) for volume in service.volumes}
    for use in file_uses(project, service):
        if not _is_inline(use.source):
            found.setdefault(use.target, _file_mount(use))
    return list(found.values())


def inline_files(project: Project, service: ServiceConfig) -> list[InlineFile]:
    """Secrets and configs whose content is a text or a variable; raises ComposeError if the variable is not set."""
    taken = {volume.target for volume in service.volumes}
    return [
        {
            "Target": use.target,
            "Content": b2a_base64(_content(project, use).encode(), newline=False).decode(),
            "Mode": DEFAULT_MODE if use.reference.mode is None else use.reference.mode,
            "UID": _owner(use, use.reference.uid, "uid"),
            "GID": _owner(use, use.reference.gid, "gid"),
        }
        for use in file_uses(project, service)
        if _is_inline(use.source) and use.target not in taken
    ]


def file_uses(project: Project, service: ServiceConfig) -> Iterator[FileUse]:
    """All secrets, then all configs; raises ComposeError for what only a cluster can do."""
    tables: tuple[tuple[str, str, tuple[FileReference, ...], Mapping[str, FileObjectConfig]], ...] = (
        ("secret", "/run/secrets/", service.secrets, project.secrets),
        ("config", "/", service.configs, project.configs),
    )
    for kind, base, references, defined in tables:
        for said in references:
            source = defined.get(said.source)
            if source is None:
                raise ComposeError(f'service "{service.name}" refers to undefined {kind} {said.source}')
            _check_supported(kind, source)
            target = said.target or said.source
            if not target.startswith("/"):
                target = base + target
            yield FileUse(kind=kind, target=target, reference=said, source=source)


def tmpfs(service: ServiceConfig) -> dict[str, str]:
    """Docker's `Tmpfs`: path to options."""
    return {path: options for path, _, options in (said.partition(":") for said in service.tmpfs)}


def _check_supported(kind: str, source: FileObjectConfig) -> None:
    if source.external:
        raise ComposeError(f"unsupported external {kind} {source.name}")
    for attribute in ("driver", "template_driver"):
        if getattr(source, attribute):
            raise ComposeError(f"{kind} {source.name}: {kind}s.*.{attribute} is not supported")


def _is_inline(source: FileObjectConfig) -> bool:
    return bool(source.environment or source.content) or not source.file


def _content(project: Project, use: FileUse) -> str:
    variable = use.source.environment
    if use.source.content or not variable:
        return use.source.content
    value = project.environment.get(variable)
    if value is None:
        name = use.source.name or use.reference.source
        raise ComposeError(f'environment variable "{variable}" required by {use.kind} "{name}" is not set')
    return value


def _owner(use: FileUse, said: str, what: str) -> int:
    if said and not (said.isascii() and said.isdigit()):
        raise ComposeError(f"{use.kind} {use.reference.source}: {what} must be a number, not {said}")
    return int(said or 0)


def _file_mount(use: FileUse) -> Mount:
    return {
        "Type": "bind",
        "Source": use.source.file,
        "Target": use.target,
        "ReadOnly": True,
        "BindOptions": {"CreateMountpoint": False},
    }


def _mount(project: Project, volume: ServiceVolumeConfig) -> Mount:
    source = volume.source
    if volume.type == "volume" and source in project.volumes:
        source = project.volumes[source].name
    mount: dict[str, Any] = {"Type": volume.type, "Source": source, "Target": volume.target}
    if volume.read_only:
        mount["ReadOnly"] = True
    mount.update(OPTIONS.get(volume.type, _no_options)(volume))
    return cast("Mount", mount)


def _bind_options(volume: ServiceVolumeConfig) -> dict[str, Any]:
    bind = volume.bind
    if bind is None:
        return {"BindOptions": {"CreateMountpoint": True}}
    options: dict[str, Any] = {"CreateMountpoint": bind.create_host_path, **RECURSIVE.get(bind.recursive, {})}
    if bind.propagation:
        options["Propagation"] = bind.propagation
    if bind.selinux:
        options["SELinux"] = bind.selinux
    return {"BindOptions": options}


def _volume_options(volume: ServiceVolumeConfig) -> dict[str, Any]:
    said = volume.volume
    if said is None:
        return {}
    options = {"NoCopy": said.nocopy, "Subpath": said.subpath, "Labels": dict(said.labels)}
    found = {key: value for key, value in options.items() if value}
    return {"VolumeOptions": found} if found else {}


def _tmpfs_options(volume: ServiceVolumeConfig) -> dict[str, Any]:
    said = volume.tmpfs
    options = {"SizeBytes": said.size, "Mode": said.mode} if said is not None else {}
    found = {key: value for key, value in options.items() if value}
    return {"TmpfsOptions": found} if found else {}


def _image_options(volume: ServiceVolumeConfig) -> dict[str, Any]:
    said = volume.image
    return {"ImageOptions": {"Subpath": said.subpath}} if said is not None and said.subpath else {}


def _no_options(volume: ServiceVolumeConfig) -> dict[str, Any]:
    return {}


OPTIONS = {
    "bind": _bind_options,
    "volume": _volume_options,
    "tmpfs": _tmpfs_options,
    "image": _image_options,
}
