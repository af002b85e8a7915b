"""How a service's image is built."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.limits import UlimitsConfig
from compose.model.mounts import ServiceSecretConfig
from compose.model.record import Record


class BuildConfig(Record):
    """The build section in long form; `context` is an absolute path or a URL once the project is loaded."""

    context: str = fields.text()
    dockerfile: str = fields.text()
    dockerfile_inline: str = fields.text()
    entitlements: tuple[str, ...] = fields.strings()
    args: dict[str, str | None] = fields.environment()
    provenance: str = fields.text()
    sbom: str = fields.text()
    ssh: dict[str, str] = fields.ssh_keys()
    labels: dict[str, str] = fields.mapping()
    cache_from: tuple[str, ...] = fields.strings()
    cache_to: tuple[str, ...] = fields.strings()
    no_cache: bool = fields.flag()
    no_cache_filter: tuple[str, ...] = fields.strings()
    additional_contexts: dict[str, str] = fields.mapping()
    pull: bool = fields.flag()
    extra_hosts: dict[str, tuple[str, ...]] = fields.hosts()
    isolation: str = fields.text()
    network: str = fields.text()
    target: str = fields.text()
    secrets: tuple[ServiceSecretConfig, ...] = fields.nested_list(ServiceSecretConfig)
    shm_size: int = fields.size()
    tags: tuple[str, ...] = fields.strings()
    ulimits: dict[str, UlimitsConfig] = fields.nested_map(UlimitsConfig)
    platforms: tuple[str, ...] = fields.strings()
    privileged: bool = fields.flag()
    extensions: dict[str, Any] = fields.extensions()
