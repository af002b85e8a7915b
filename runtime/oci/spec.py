"""A container's OCI runtime spec, derived from its record in Docker's terms.

Pure: what depends on the machine comes in as SpecFacts, so that the same record gives the same spec in a test. All that
the lower floors see of a container is in the result; its `x-` keys are ours (a root file system still to be mounted, a
user still to be looked up inside it, the compiled seccomp program).
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import InvalidParameter
from runtime.oci import capabilities, defaults, namespaces, seccomp, securityopt, spec_mounts, spec_process, sysctl
from runtime.oci.resources import resources
from runtime.oci.spec_namespaces import is_host, joined
from runtime.oci.spec_namespaces import namespaces as spec_namespaces
from runtime.oci.spec_process import container_argv, exec_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.linux.hostfacts import HostFacts
    from runtime.oci.securityopt import SecurityOptions
    from runtime.wire.containers import ContainerConfig, HostConfig

__all__ = ["ContainerInput", "SpecFacts", "check", "container_argv", "exec_process", "facts_of", "generate"]

_RUNTIMES: Final = frozenset({"", "pycompose", "runc", "io.containerd.runc.v2"})
_DEVICE_RULE: Final = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_DEVICE_ACCESS: Final = re.compile(r"[rwm]{1,3}")
_HOSTNAME: Final = re.compile(r"[ -~]{1,64}")
"""What the kernel and Docker take, blanks too; a line end would forge lines of /etc/hosts."""


class ContainerInput(NamedTuple):
    """A container as its record has it, with what the engine has resolved for this run."""

    id: str
    config: ContainerConfig
    host_config: HostConfig
    root_path: str
    """The directory at which the root file system will be."""
    rootfs: dict[str, Any] | None = None
    """`x-rootfs`: an overlay to be mounted there; None: the directory itself."""
    mounts: Sequence[dict[str, Any]] = ()
    """Resolved binds and volumes as OCI mounts, without tmpfs, which come from `host_config`."""
    files: Sequence[dict[str, Any]] = ()
    """The engine's mounts on /etc/hostname, /etc/hosts and /etc/resolv.conf."""
    cgroup: str = ""


class SpecFacts(NamedTuple):
    """What a spec depends on besides the record; the defaults suit a test."""

    cgroup_version: int = 1
    rootless: bool = False
    capabilities: frozenset[str] = capabilities.ALL
    """Our own bounding set: more cannot be granted."""
    cpus: int = 1
    cpuset: frozenset[int] | None = None
    mems: frozenset[int] | None = None
    hostname: str = ""
    """For a container without a host name of its own: the host's with its network, the joined container's."""
    namespace_paths: Mapping[str, str] = {}
    """`ipc` and `pid` of the containers that are joined."""
    shm_source: str = ""
    """The mount namespace file of the container whose IPC namespace is joined: its /dev/shm is bound."""
    devices: Mapping[str, list[dict[str, Any]]] = {}
    """From hostdevices.gather."""
    block_devices: Mapping[str, tuple[int, int]] = {}
    """From hostdevices.block_numbers."""
    masked_paths: tuple[str, ...] = ()
    """Further paths to hide on this machine: per-CPU thermal counters."""
    apparmor: bool = True
    """Whether the machine has AppArmor; profiles mean nothing without it."""
    init: bool = False
    """Whether containers that do not say get a reaping pid 1."""


def facts_of(host: HostFacts, **changes: Any) -> SpecFacts:
    """The part of a spec's facts that is the machine's; `changes` are the fields that belong to one container."""
    facts = SpecFacts(
        cgroup_version=host.cgroup_version,
        rootless=host.rootless,
        capabilities=capabilities.names_of(host.capabilities),
        cpus=len(host.cpus),
        cpuset=host.cpus,
        mems=host.memory_nodes,
        masked_paths=host.masked_paths,
        apparmor=host.apparmor,
    )
    return facts._replace(**changes)


def generate(container: ContainerInput, image_config: Mapping[str, Any], facts: SpecFacts) -> dict[str, Any]:
    """The spec of one run; raises InvalidParameter or NotSupported, worded as Docker words it."""
    host = container.host_config
    if (host.get("Runtime") or "") not in _RUNTIMES:
        raise InvalidParameter(f"unknown or invalid runtime name: {host['Runtime']}")
    security = securityopt.parse(host.get("SecurityOpt") or (), apparmor=facts.apparmor)
    hostname = _hostname(container, facts)
    process = spec_process.process(
        container.config,
        host,
        image_config,
        hostname=hostname,
        security=security,
        available=facts.capabilities,
    )
    mounts = spec_mounts.mounts(
        host,
        container.mounts,
        container.files,
        shm_source=facts.shm_source,
        writable_cgroups=security.writable_cgroups,
    )
    spec: dict[str, Any] = {
        "ociVersion": defaults.OCI_VERSION,
        "process": process,
        "root": {"path": container.root_path, "readonly": bool(host.get("ReadonlyRootfs"))},
        "mounts": mounts,
        "linux": _linux(container, facts, security, mounts),
    }
    if not is_host(host, "uts"):
        spec["hostname"] = hostname
        if container.config.get("Domainname"):
            spec["domainname"] = container.config["Domainname"]
    if host.get("Annotations"):
        spec["annotations"] = dict(host["Annotations"])
    if container.rootfs is not None:
        spec["x-rootfs"] = container.rootfs
    if _wants_init(host, facts):
        spec["x-init"] = True
    _add_seccomp(spec, host, security)
    return spec


def check(config: ContainerConfig, host_config: HostConfig, image_config: Mapping[str, Any], facts: SpecFacts) -> None:
    """Refuse at creation what a start would refuse, and a host name where there is no place for one.

    Containers to be joined need not run yet.
    """
    if config.get("Hostname") and is_host(host_config, "uts"):
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if config.get("Hostname") and joined(host_config, "network"):
        raise InvalidParameter("conflicting options: hostname and the network mode")
    anywhere = {kind: f"/proc/1/ns/{kind}" for kind in ("ipc", "pid") if joined(host_config, kind)}
    container = ContainerInput(id="0" * 64, config=config, host_config=host_config, root_path="/")
    generate(container, image_config, facts._replace(namespace_paths=anywhere))


def _hostname(container: ContainerInput, facts: SpecFacts) -> str:
    name = container.config.get("Hostname") or ""
    if name and not _HOSTNAME.fullmatch(name):
        raise InvalidParameter(f"invalid hostname: {name!r}, at most 64 printable characters are allowed")
    return name or facts.hostname or container.id[:12]


def _wants_init(host: HostConfig, facts: SpecFacts) -> bool:
    asked = host.get("Init")
    private = not is_host(host, "pid") and not joined(host, "pid")
    return private and (facts.init if asked is None else bool(asked))


def _linux(
    container: ContainerInput, facts: SpecFacts, security: SecurityOptions, mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    host = container.host_config
    entries = spec_namespaces(host, paths=facts.namespace_paths, cgroup_version=facts.cgroup_version)
    devices, rules = _devices(host, facts)
    limits = resources(host, cpus=facts.cpus, cpuset=facts.cpuset, mems=facts.mems, block_devices=facts.block_devices)
    linux: dict[str, Any] = {
        "namespaces": entries,
        "devices": devices,
        # Who may manage cgroups has one of its own wherever it could, or it would manage the host's.
        "resources": {"devices": rules, **limits, **({"x-all-hierarchies": True} if host.get("Privileged") else {})},
        "sysctl": _sysctls(host, facts, entries),
        "rootfsPropagation": spec_mounts.propagation(mounts),
        "maskedPaths": _paths(host, host.get("MaskedPaths"), security, (*defaults.MASKED_PATHS, *facts.masked_paths)),
        "readonlyPaths": _paths(host, host.get("ReadonlyPaths"), security, defaults.READONLY_PATHS),
    }
    if container.cgroup:
        linux["cgroupsPath"] = container.cgroup
    return linux


def _paths(host: HostConfig, given: list[str] | None, security: SecurityOptions, default: tuple[str, ...]) -> list[str]:
    if host.get("Privileged") or security.system_paths_unconfined:
        return []
    return list(default if given is None else given)


def _sysctls(host: HostConfig, facts: SpecFacts, entries: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    if not is_host(host, "network") and not joined(host, "network"):
        found.update(defaults.NETWORK_SYSCTLS)
        if not facts.rootless:
            found.update(defaults.PING_SYSCTLS)
    found.update({key: str(value) for key, value in (host.get("Sysctls") or {}).items()})
    own = 0
    for entry in entries:
        own |= namespaces.FLAGS[entry["type"]]
    sysctl.check(found, own)
    return found


def _devices(host: HostConfig, facts: SpecFacts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if host.get("DeviceRequests"):
        request = host["DeviceRequests"][0]
        groups = [f"[{' '.join(group)}]" for group in request.get("Capabilities") or ()]
        raise InvalidParameter(
            f'could not select device driver "{request.get("Driver") or ""}" with capabilities: [{" ".join(groups)}]'
        )
    privileged = bool(host.get("Privileged"))
    devices: list[dict[str, Any]] = list(facts.devices.get("/dev") or ()) if privileged else []
    rules = [{"allow": True, "access": "rwm"}] if privileged else defaults.device_rules()
    for mapping in host.get("Devices") or ():
        source, target = mapping["PathOnHost"], mapping.get("PathInContainer") or mapping["PathOnHost"]
        access = mapping.get("CgroupPermissions") or "rwm"
        if not _DEVICE_ACCESS.fullmatch(access):
            raise InvalidParameter(
                f"device {source}: invalid permissions {access!r}, a combination of r, w and m is expected"
            )
        if privileged and source == target:
            continue
        for entry in facts.devices.get(source) or ():
            devices.append({**entry, "path": target + entry["path"].removeprefix(source)})
            if not privileged:
                numbers = {key: entry[key] for key in ("type", "major", "minor")}
                rules.append({"allow": True, **numbers, "access": access})
    if not privileged:
        rules += [_device_rule(rule) for rule in host.get("DeviceCgroupRules") or ()]
    return devices, rules


def _device_rule(text: str) -> dict[str, Any]:
    match = _DEVICE_RULE.fullmatch("a *:* rwm" if text == "a" else text)
    if match is None:
        raise InvalidParameter(f"invalid device cgroup rule format: '{text}'")
    rule: dict[str, Any] = {"allow": True, "type": match[1], "access": match[4]}
    for key, value in (("major", match[2]), ("minor", match[3])):
        if value != "*":
            rule[key] = int(value)
    return rule


def _add_seccomp(spec: dict[str, Any], host: HostConfig, security: SecurityOptions) -> None:
    if security.seccomp == securityopt.UNCONFINED or (host.get("Privileged") and not security.seccomp):
        return
    bounding = frozenset(spec["process"]["capabilities"]["bounding"])
    if security.seccomp:
        program, flags = seccomp.custom_program(security.seccomp, bounding)
    else:
        program, flags = seccomp.default_program(bounding), seccomp.DEFAULT_FLAGS
    spec["x-seccomp"] = b64encode(program).decode()
    spec["x-seccomp-flags"] = flags
