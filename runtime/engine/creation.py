"""From the arguments of CreateContainer to a record: names, mounts, files, and the check that a start would succeed.

"Created" is a record and a few directories; no process waits. What can be refused is refused here, before anything
of the container is on disk.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any, cast

from runtime.engine import logconfig
from runtime.engine.clock import new_id, now_rfc3339
from runtime.engine.facts import spec_facts
from runtime.engine.records import ContainerRecord
from runtime.errors import Conflict, InvalidParameter, NotFound
from runtime.images import lookup
from runtime.linux import signalnames
from runtime.network import hostfiles, naming
from runtime.oci import hostdevices, spec, spec_process
from runtime.oci import securityopt as security_options
from runtime.supervise import health
from runtime.volumes import mounts

if TYPE_CHECKING:
    from runtime.engine.engine import Engine
    from runtime.images.records import Image
    from runtime.wire.containers import ContainerConfig, HostConfig

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def check_name(name: str) -> None:
    """Docker's rule for container names; raises InvalidParameter."""
    if not NAME.fullmatch(name):
        raise InvalidParameter(f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def same(record: ContainerRecord, args: dict[str, Any]) -> bool:
    """Whether the container was created from these arguments (then creating it again is done already)."""
    return bool(record.config == args.get("Config", {}) and record.host_config == args.get("HostConfig", {}))


def new_record(engine: Engine, args: dict[str, Any]) -> ContainerRecord:
    """Check everything, make the volumes and files, return the record; raises the EngineError of what is wrong."""
    check_name(args["Name"])
    config, host_config = _asked(args)
    image = engine.images.resolve(config.get("Image") or "")
    for network, endpoint in (args.get("EndpointsConfig") or {}).items():
        engine.networks.check_asked(engine.networks.get(network), endpoint or {})
        if (endpoint or {}).get("MacAddress"):
            naming.check_mac_address(endpoint["MacAddress"], network)
    facts = spec_facts(engine)._replace(
        devices=hostdevices.gather(host_config), block_devices=hostdevices.block_numbers(host_config)
    )
    spec.check(config, host_config, image.config, facts)
    _check_directory(engine, image, config.get("WorkingDir") or str(image.config.get("WorkingDir") or ""))
    _check_engine_part(config, host_config)
    health.policy_of(config.get("Healthcheck") or image.config.get("Healthcheck"))
    resolved = _resolve_mounts(engine, args, image.config)
    for volume in resolved.create:
        engine.create_volume(volume)
    for directory in resolved.directories:
        os.makedirs(directory, exist_ok=True)
    record = ContainerRecord(
        id=new_id(),
        name=args["Name"],
        created=now_rfc3339(),
        image=image.id,
        config=config,
        host_config=host_config,
        endpoints={name: dict(value or {}) for name, value in (args.get("EndpointsConfig") or {}).items()},  # type: ignore[misc]
        dependencies=args.get("Dependencies") or [],
        port_group=args.get("PortGroup") or "",
        mounts=resolved.points,
        oci_mounts=resolved.mounts,
        anonymous_volumes=resolved.anonymous,
    )
    folder = engine.paths.container(record.id)
    os.makedirs(folder, mode=0o710, exist_ok=True)
    record.oci_mounts += [_write_file(folder, index, item) for index, item in enumerate(args.get("Files") or [])]
    return record


def health_policy(engine: Engine, record: ContainerRecord) -> health.HealthPolicy | None:
    """The container's probe: its own, field by field over the image's, or none."""
    own = record.config.get("Healthcheck") or {}
    image = engine.images.config_of(record.image).get("Healthcheck") or {}
    if own.get("Test"):
        return health.policy_of({**image, **own} if own["Test"] != ["NONE"] else None)
    return health.policy_of({**image, **own} if image else None)


def exec_process(engine: Engine, record: ContainerRecord, body: dict[str, Any]) -> dict[str, Any]:
    """The OCI process of an exec session from Docker's body; raises InvalidParameter."""
    return spec.exec_process(
        container_process(engine, record),
        body["Cmd"],
        env=body.get("Env") or (),
        user=body.get("User") or "",
        cwd=body.get("WorkingDir") or "",
        tty=bool(body.get("Tty")),
        privileged=bool(body.get("Privileged")),
        available=spec_facts(engine).capabilities,
    )


def probe_process(engine: Engine, record: ContainerRecord, command: list[str]) -> dict[str, Any]:
    """The OCI process of a health probe: the container's own, with another command."""
    return spec.exec_process(container_process(engine, record), command)


def container_process(engine: Engine, record: ContainerRecord) -> dict[str, Any]:
    """The `process` of the container's spec, derived from the record again."""
    facts = spec_facts(engine)
    return spec_process.process(
        record.config,
        record.host_config,
        engine.images.config_of(record.image),
        hostname=joined_hostname(engine, record, facts.hostname),
        security=security_options.parse(record.host_config.get("SecurityOpt") or (), apparmor=facts.apparmor),
        available=facts.capabilities,
    )


def hostname(record: ContainerRecord, host: str) -> str:
    """The container's own host name, the host's on the host's network, else its short id."""
    if record.host_config.get("NetworkMode") == "host":
        return record.config.get("Hostname") or host
    return record.config.get("Hostname") or record.id[:12]


def joined_hostname(engine: Engine, record: ContainerRecord, host: str) -> str:
    """The host name of the container whose network is shared, as Docker gives it, else the container's own."""
    mode = record.host_config.get("NetworkMode") or ""
    if not mode.startswith("container:"):
        return hostname(record, host)
    try:
        owner = engine.container(mode.removeprefix("container:")).record
    except NotFound:
        return hostname(record, host)
    return joined_hostname(engine, owner, host)


def _asked(args: dict[str, Any]) -> tuple[ContainerConfig, HostConfig]:
    return cast("ContainerConfig", args.get("Config") or {}), cast("HostConfig", args.get("HostConfig") or {})


def _check_engine_part(config: ContainerConfig, host_config: HostConfig) -> None:
    """Refuse what is no part of a spec and would else fail, or do nothing, when the container starts or stops."""
    logconfig.check(host_config.get("LogConfig") or {})
    for server in host_config.get("Dns") or ():
        hostfiles.check_nameserver(server)
    for entry in host_config.get("ExtraHosts") or ():
        hostfiles.split_extra_host(entry)
    if config.get("StopSignal"):
        signalnames.number(config["StopSignal"])
    if host_config.get("StorageOpt"):
        raise InvalidParameter(
            f"storage option {next(iter(host_config['StorageOpt']))}: root file systems have no quota"
        )


def _check_directory(engine: Engine, image: Image, path: str) -> None:
    """The working directory is made where it is missing; a file there, which it cannot be, is told now."""
    layers = engine.images.store.layer_dirs(image)
    if image.on_host and path.startswith("/usr/"):
        layers = [*layers, "/"]
    if path and lookup.kind(layers, path) == "file":
        raise InvalidParameter(f"working directory {path}: is not a directory in the image")


def _resolve_mounts(engine: Engine, args: dict[str, Any], image_config: dict[str, Any]) -> mounts.Resolved:
    config, host_config = _asked(args)
    store = engine.volumes
    return mounts.resolve(
        host_config,
        [*(image_config.get("Volumes") or {}), *(config.get("Volumes") or {})],
        mounts.Facts(
            volume=lambda name: store.inspect(name) if store.exists(name) else None,
            mountpoint=store.mountpoint,
            path_kind=_path_kind,
            image_layers=lambda reference: engine.images.store.layer_dirs(engine.images.resolve(reference)),
        ),
        inherited=_inherited(engine, args.get("InheritVolumesFrom") or ""),
        volumes_from=[_volumes_of(engine, text) for text in host_config.get("VolumesFrom") or ()],
    )


def _inherited(engine: Engine, name: str) -> dict[str, str]:
    """Anonymous volumes of the container that is replaced, by target: they go over to its successor."""
    if not name:
        return {}
    try:
        record = engine.container(name).record
    except NotFound:
        return {}
    return {
        mount["Destination"]: mount["Name"]
        for mount in record.mounts
        if mount.get("Type") == "volume" and mount.get("Name") in record.anonymous_volumes
    }


def _volumes_of(engine: Engine, text: str) -> tuple[list[Any], str]:
    name, _, mode = text.partition(":")
    return list(engine.container(name).record.mounts), mode


def _path_kind(path: str) -> str:
    if os.path.isdir(path):
        return "dir"
    return "file" if os.path.lexists(path) else ""


def _write_file(folder: str, index: int, item: dict[str, Any]) -> dict[str, Any]:
    """An inline file becomes a read-only bind of a file in the container's folder."""
    target = str(item["Target"])
    if not target.startswith("/"):
        raise Conflict(f"file target {target} is not an absolute path")
    os.makedirs(f"{folder}/files", mode=0o711, exist_ok=True)
    path = f"{folder}/files/{index}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, base64.b64decode(item["Content"]))
        os.fchown(fd, int(item.get("UID") or 0), int(item.get("GID") or 0))
        os.fchmod(fd, int(item.get("Mode") or 0o444))
    finally:
        os.close(fd)
    return {
        "destination": target,
        "type": "bind",
        "source": path,
        "options": ["rbind", "ro", "rprivate"],
        "x-create": "file",
    }
