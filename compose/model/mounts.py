"""What a service mounts: volumes, binds, tmpfs and images, and the files of secrets and configs."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class ServiceVolumeBind(Record):
    """Options of a bind mount."""

    selinux: str = fields.text()
    propagation: str = fields.text()
    create_host_path: bool = fields.flag()
    recursive: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class ServiceVolumeVolume(Record):
    """Options of a named or anonymous volume."""

    labels: dict[str, str] = fields.mapping()
    nocopy: bool = fields.flag()
    subpath: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class ServiceVolumeTmpfs(Record):
    """Options of a tmpfs: `size` in bytes, `mode` as permission bits."""

    size: int = fields.size()
    mode: int = fields.octal()
    extensions: dict[str, Any] = fields.extensions()


class ServiceVolumeImage(Record):
    """Options of an image mounted as a directory."""

    subpath: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class ServiceVolumeConfig(Record):
    """One mount in long form; `type` is bind, volume, tmpfs, image, cluster or npipe."""

    type: str = fields.text()
    source: str = fields.text()
    target: str = fields.text()
    read_only: bool = fields.flag()
    consistency: str = fields.text()
    bind: ServiceVolumeBind | None = fields.nested(ServiceVolumeBind)
    volume: ServiceVolumeVolume | None = fields.nested(ServiceVolumeVolume)
    tmpfs: ServiceVolumeTmpfs | None = fields.nested(ServiceVolumeTmpfs)
    image: ServiceVolumeImage | None = fields.nested(ServiceVolumeImage)
    extensions: dict[str, Any] = fields.extensions()


class FileReference(Record):
    """A secret or config as a service uses it; `source` is its key in the project."""

    source: str = fields.text()
    target: str = fields.text()
    uid: str = fields.text()
    gid: str = fields.text()
    mode: int | None = fields.file_mode()
    extensions: dict[str, Any] = fields.extensions()


class ServiceSecretConfig(FileReference):
    """A secret a service may read."""


class ServiceConfigObjConfig(FileReference):
    """A config a service may read."""
