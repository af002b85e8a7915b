"""Translate a service into Docker's HostConfig: isolation, privileges, restart, logging, name resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compose.errors import ComposeError
from compose.graph import CONTAINER_PREFIX
from compose.reconcile.body_mounts import mounts, tmpfs
from compose.reconcile.body_network import namespace_modes, network_mode, port_bindings
from compose.reconcile.body_resources import resources
from compose.reconcile.instance import seccomp_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.service import ServiceConfig
    from compose.reconcile.instance import Instance
    from runtime.wire.containers import HostConfig, RestartPolicy

__all__ = ["host_config", "restart_policy", "seccomp_path", "security", "volumes_from"]

VALUES = (
    ("ReadonlyRootfs", "read_only"),
    ("Privileged", "privileged"),
    ("UsernsMode", "userns_mode"),
    ("ShmSize", "shm_size"),
    ("Runtime", "runtime"),
)
LISTS = (
    ("CapAdd", "cap_add"),
    ("CapDrop", "cap_drop"),
    ("Dns", "dns"),
    ("DnsOptions", "dns_opt"),
    ("DnsSearch", "dns_search"),
    ("GroupAdd", "group_add"),
)
MAPPINGS = (("Sysctls", "sysctls"), ("StorageOpt", "storage_opt"), ("Annotations", "annotations"))
RESTART_NAMES = {"none": "no", "any": "always"}
"""`deploy.restart_policy.condition` in Docker's words; all others are the same."""


def host_config(instance: Instance) -> HostConfig:
    """Docker's `HostConfig`; what is not said is left out. Raises ComposeError for a reference to nothing."""
    service = instance.service
    found: dict[str, Any] = {"NetworkMode": network_mode(instance), **namespace_modes(instance)}
    found.update((key, value) for key, attribute in VALUES if (value := getattr(service, attribute)))
    found.update((key, list(value)) for key, attribute in LISTS if (value := getattr(service, attribute)))
    found.update((key, dict(value)) for key, attribute in MAPPINGS if (value := getattr(service, attribute)))
    found.update(resources(service))
    parts: dict[str, Any] = {
        "Mounts": mounts(instance.project, service),
        "Tmpfs": tmpfs(service),
        "VolumesFrom": volumes_from(instance),
        "PortBindings": port_bindings(service),
        "ExtraHosts": [f"{name}:{address}" for name, addresses in service.extra_hosts.items() for address in addresses],
        "RestartPolicy": restart_policy(service),
        "LogConfig": _log_config(service),
    }
    found.update((key, value) for key, value in parts.items() if value)
    found.update(security(service, instance.project.working_dir, instance.seccomp_profiles))
    if service.init is not None:
        found["Init"] = service.init
    if instance.auto_remove:
        found["AutoRemove"] = True
    return cast("HostConfig", found)


def restart_policy(service: ServiceConfig) -> RestartPolicy | None:
    """`restart` or, before it, `deploy.restart_policy`; None if neither is said."""
    policy = service.deploy.restart_policy if service.deploy is not None else None
    if policy is not None:
        return _policy(policy.condition, policy.max_attempts or 0)
    if not service.restart:
        return None
    name, _, attempts = service.restart.partition(":")
    return _policy(name, int(attempts) if attempts.isdigit() else 0)


def volumes_from(instance: Instance) -> list[str]:
    """`name-or-id[:ro]` of containers; raises ComposeError if a service has none."""
    found: list[str] = []
    for said in instance.service.volumes_from:
        if said.startswith(CONTAINER_PREFIX):
            found.append(said.removeprefix(CONTAINER_PREFIX))
            continue
        service, _, mode = said.partition(":")
        container = instance.containers.get(service)
        if container is None:
            raise ComposeError(f"cannot share volume with service {service}: container missing")
        found.append(f"{container}:{mode}" if mode else container)
    return found


def security(service: ServiceConfig, working_dir: str, profiles: Mapping[str, str]) -> dict[str, Any]:
    """`SecurityOpt`, and the empty path lists of `systempaths=unconfined`; raises ComposeError on a malformed one."""
    found: dict[str, Any] = {}
    options: list[str] = []
    for said in service.security_opt:
        if said == "systempaths=unconfined":
            found = {"MaskedPaths": [], "ReadonlyPaths": []}
            continue
        name, separator, _ = said.partition("=" if "=" in said else ":")
        if not separator and name != "no-new-privileges":
            raise ComposeError(f'invalid security-opt: "{said}"')
        path = seccomp_path(said, working_dir)
        options.append(f"seccomp={profiles.get(path, path)}" if path else said)
    return {**found, "SecurityOpt": options} if options else found


def _policy(name: str, attempts: int) -> RestartPolicy:
    policy: dict[str, Any] = {"Name": RESTART_NAMES.get(name, name)}
    if attempts:
        policy["MaximumRetryCount"] = attempts
    return cast("RestartPolicy", policy)


def _log_config(service: ServiceConfig) -> dict[str, Any]:
    if service.logging is None:
        return {}
    found = {"Type": service.logging.driver, "Config": dict(service.logging.options)}
    return {key: value for key, value in found.items() if value}
