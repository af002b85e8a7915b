"""What a start needs: root file system, and the OCI bundle with config.json and the files that are mounted over /etc's.

Everything in the bundle is derived from the record anew at each start. So it lies in the zygote's tmpfs, which the engine
writes to by descriptor; the paths in the spec are those of the zygote's mount namespace.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from runtime.cgroups import placement
from runtime.engine.creation import hostname, joined_hostname
from runtime.engine.facts import host_name, spec_facts
from runtime.engine.names import host_resolver
from runtime.errors import Conflict
from runtime.network import hostfiles
from runtime.oci import hostdevices, spec
from runtime.shim import orphans

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

UNSHARED_IPC = ("private", "none")
"""Modes that say so; one that says nothing can be joined, where Docker wants `shareable` in so many words."""
HOST_FILES = ("hosts", "hostname", "resolv.conf")
CONFIG = "config.json"
ID_LENGTH = 64


async def build_bundle(engine: Engine, container: Container) -> str:
    """Prepare everything for one start and return the OCI bundle's folder.

    Raises the EngineError of what is wrong or missing.
    """
    record = container.record
    folder = engine.paths.container(record.id)
    rootfs = await engine.images.rootfs(record.image, folder)
    files = generated_files(engine, container)
    joined = _joined(engine, container)
    facts = spec_facts(engine)._replace(
        hostname=joined_hostname(engine, record, host_name()),
        namespace_paths=joined,
        shm_source=f"{joined['ipc'].removesuffix('ipc')}mnt" if "ipc" in joined else "",
        devices=hostdevices.gather(record.host_config),
        block_devices=hostdevices.block_numbers(record.host_config),
    )
    made = spec.generate(
        spec.ContainerInput(
            id=record.id,
            config=record.config,
            host_config=record.host_config,
            root_path=engine.paths.root_mount_point if rootfs else f"{folder}/rootfs",
            rootfs=rootfs,
            mounts=record.oci_mounts,
            files=files,
            cgroup=placement.name(engine.id, record.id, record.host_config.get("CgroupParent") or ""),
        ),
        engine.images.config_of(record.image),
        facts,
    )
    _write(engine, record.id, {CONFIG: json.dumps(made)})
    return engine.paths.bundle(record.id)


def remove_bundle(engine: Engine, container_id: str) -> None:
    """With its container; what a zygote took along when it died is gone already."""
    directory = engine.zygote.bundles
    for name in (*HOST_FILES, CONFIG, orphans.INIT):
        try:
            os.unlink(f"{container_id}/{name}", dir_fd=directory)
        except OSError:
            continue  # never written
    try:
        os.rmdir(container_id, dir_fd=directory)
    except OSError:
        return


def remove_strays(engine: Engine) -> None:
    """Bundles whose container was removed by an engine that ended before it came to them."""
    for name in os.listdir(engine.zygote.bundles):
        # what the zygote rehearses with has no container's id
        if len(name) == ID_LENGTH and name not in engine.containers:
            remove_bundle(engine, name)


def _write(engine: Engine, container_id: str, texts: dict[str, str]) -> None:
    """Files of the bundle, readable for every user of the container; what was there is overwritten in place."""
    directory = engine.zygote.bundles
    try:
        os.mkdir(container_id, 0o700, dir_fd=directory)
    except FileExistsError:
        pass
    for name, text in texts.items():
        fd = os.open(f"{container_id}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fchmod(fd, 0o644)
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def generated_files(engine: Engine, container: Container) -> list[dict[str, Any]]:
    """Mounts of /etc/hosts, /etc/hostname and /etc/resolv.conf; shared with whose network is shared."""
    mode = container.record.host_config.get("NetworkMode") or "default"
    owner = container
    if mode.startswith("container:"):
        owner = engine.container(mode.removeprefix("container:"))
    if owner is container or not _has_host_files(engine, owner):
        _write(engine, owner.record.id, _host_files(owner))
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{engine.paths.bundle(owner.record.id)}/{name}",
            "options": ["rbind", "rprivate"],
            "x-create": "file",
        }
        for name in HOST_FILES
    ]


def _has_host_files(engine: Engine, owner: Container) -> bool:
    """Not when the zygote was replaced since the owner's start."""
    try:
        os.stat(f"{owner.record.id}/{HOST_FILES[-1]}", dir_fd=engine.zygote.bundles)
    except FileNotFoundError:
        return False
    return True


def _host_files(container: Container) -> dict[str, str]:
    record = container.record
    mode = record.host_config.get("NetworkMode") or "default"
    name = hostname(record, host_name())
    addresses = [
        str(address)
        for settings in record.endpoints.values()
        for address in (settings.get("IPAddress"), settings.get("GlobalIPv6Address"))
        if address
    ]
    gateways = [settings.get("Gateway") for settings in record.endpoints.values()]
    gateway = next((str(found) for found in gateways if found), "127.0.0.1" if mode == "host" else "")
    config = hostfiles.merge(
        host_resolver(),
        record.host_config.get("Dns") or [],
        record.host_config.get("DnsSearch") or [],
        record.host_config.get("DnsOptions") or [],
    )
    return {
        "hosts": hostfiles.hosts(
            name, record.config.get("Domainname") or "", addresses, record.host_config.get("ExtraHosts") or [], gateway
        ),
        "hostname": hostfiles.hostname(name),
        "resolv.conf": hostfiles.resolv_conf(config, embedded=bool(record.endpoints)),
    }


def _joined(engine: Engine, container: Container) -> dict[str, str]:
    """The namespace files of containers whose IPC or pid namespace is shared; raises Conflict if one does not run."""
    paths = {}
    for kind, key in (("ipc", "IpcMode"), ("pid", "PidMode")):
        mode = str(container.record.host_config.get(key) or "")
        if not mode.startswith("container:"):
            continue
        other = engine.container(mode.removeprefix("container:"))
        if not other.running:
            raise Conflict(f"cannot join {kind} of a non running container: {other.record.name}")
        if kind == "ipc" and other.record.host_config.get("IpcMode") in UNSHARED_IPC:
            raise Conflict(
                f"cannot join IPC of container {other.record.name}: non-shareable IPC "
                "(hint: use IpcMode:shareable for the donor container)"
            )
        paths[kind] = f"/proc/{other.record.pid}/ns/{kind}"
    return paths
