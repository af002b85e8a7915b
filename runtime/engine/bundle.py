"""What a start needs on disk and in the spec: root file system, generated files, config.json.

The spec is derived from the record anew at each start. The bundle is where the shim reads it, and where other people's
OCI tools find what they expect.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from runtime.engine.creation import hostname
from runtime.engine.facts import host_name, spec_facts
from runtime.engine.names import host_resolver
from runtime.errors import Conflict
from runtime.network import hostfiles
from runtime.oci import hostdevices, spec

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

HOST_FILES = ("hosts", "hostname", "resolv.conf")


async def build_bundle(engine: Engine, container: Container) -> str:
    """Prepare everything for one start and return the OCI bundle's folder.

    Raises the EngineError of what is wrong or missing.
    """
    record = container.record
    folder = engine.paths.container(record.id)
    rootfs = await engine.images.rootfs(record.image, folder)
    files = _generated_files(engine, container, folder)
    os.makedirs(engine.paths.container_run(record.id), mode=0o700, exist_ok=True)
    facts = spec_facts(engine)._replace(
        hostname=hostname(record, host_name()),
        namespace_paths=_joined(engine, container),
        devices=hostdevices.gather(record.host_config),
        block_devices=hostdevices.block_numbers(record.host_config),
    )
    made = spec.generate(
        spec.ContainerInput(
            id=record.id,
            config=record.config,
            host_config=record.host_config,
            root_path=f"{folder}/rootfs",
            rootfs=rootfs,
            mounts=record.oci_mounts,
            files=files,
            cgroup=f"pycompose/{engine.id}/{record.id}",
        ),
        engine.images.config_of(record.image),
        facts,
    )
    return _write_bundle(f"{folder}/bundle", made)


def _write_bundle(path: str, made: dict[str, Any]) -> str:
    """The OCI bundle; needs no fsync, for the next start writes it anew."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    with open(f"{path}/config.json", "w", encoding="utf-8") as stream:
        stream.write(json.dumps(made))
    return path


def _generated_files(engine: Engine, container: Container, folder: str) -> list[dict[str, Any]]:
    """Mounts of /etc/hosts, /etc/hostname and /etc/resolv.conf; shared with whose network is shared."""
    record = container.record
    mode = record.host_config.get("NetworkMode") or "default"
    source = folder
    if mode.startswith("container:"):
        source = engine.paths.container(engine.container(mode.removeprefix("container:")).record.id)
    else:
        _write_host_files(engine, container, folder, mode)
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{source}/{name}",
            "options": ["rbind", "rprivate"],
            "x-create": "file",
        }
        for name in HOST_FILES
    ]


def _write_host_files(engine: Engine, container: Container, folder: str, mode: str) -> None:
    record = container.record
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
    texts = {
        "hosts": hostfiles.hosts(
            name, record.config.get("Domainname") or "", addresses, record.host_config.get("ExtraHosts") or [], gateway
        ),
        "hostname": hostfiles.hostname(name),
        "resolv.conf": hostfiles.resolv_conf(config, embedded=bool(record.endpoints)),
    }
    for file, text in texts.items():
        with open(f"{folder}/{file}", "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)


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
        paths[kind] = f"/proc/{other.record.pid}/ns/{kind}"
    return paths
