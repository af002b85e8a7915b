"""RUN: the container of one command, its mounts, and what makes it the same command as last time.

The container is Docker's default one: capabilities, seccomp, hidden paths. Proxies and secrets reach it but are part of
neither the image nor the cache key.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.build import gopath
from runtime.build.dockerfile.args import proxy_environment
from runtime.errors import InvalidParameter, NotFound
from runtime.linux import hostfacts
from runtime.network import hostfiles
from runtime.oci import spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.build.dockerfile.model import Heredoc, Mount
    from runtime.build.request import BuildRequest
    from runtime.wire.containers import ContainerConfig, HostConfig

HOSTNAME: Final = "buildkitsandbox"
_AGENT: Final = "/run/buildkit/ssh_agent."


class Command(NamedTuple):
    """One RUN, all of it decided."""

    argv: Sequence[str]
    env: Sequence[str]
    """`NAME=value`: image and build arguments."""
    user: str
    cwd: str
    network: str
    """default, none or host."""
    insecure: bool
    """--security=insecure: privileged."""
    script: Heredoc | None = None
    """A here-document with a `#!` line, which is what `argv` executes."""


class Prepared(NamedTuple):
    """A mount as the container gets it, and what is in the way of forgetting it."""

    oci: Mapping[str, Any]
    env: str = ""
    """`NAME=value` that goes with it."""


def key_parts(command: Command, mounts: Sequence[Mount], digests: Sequence[str], request: BuildRequest) -> list[str]:
    """What a RUN's result depends on, beside the file system it starts from. `digests`: of what binds show."""
    parts = [
        "run",
        *command.argv,
        command.script.content if command.script is not None else "",
        "env",
        *sorted(command.env),
        command.user,
        command.cwd,
        command.network,
    ]
    parts += ["insecure" if command.insecure else "sandbox", *request.extra_hosts]
    for mount in mounts:
        parts.append(
            f"{mount.type}\0{mount.target}\0{mount.source}\0{mount.from_}\0{mount.id}\0{mount.readonly}\0{mount.env}"
        )
    return [*parts, *digests]


def make_spec(
    command: Command,
    *,
    rootfs: Mapping[str, Any],
    root_path: str,
    prepared: Sequence[Prepared],
    files: Sequence[Mapping[str, Any]],
    request: BuildRequest,
    facts: spec.SpecFacts,
    identifier: str,
) -> dict[str, Any]:
    """The OCI spec of the container; raises InvalidParameter."""
    env = [*command.env, *(f"{name}={value}" for name, value in proxy_environment(request.build_args).items())]
    env += [item.env for item in prepared if item.env]
    config: ContainerConfig = {
        "Cmd": list(command.argv),
        "Entrypoint": [""] if not command.argv else [],
        "Env": env,
        "User": command.user,
        "WorkingDir": command.cwd,
        "Hostname": "" if command.network == "host" else HOSTNAME,
    }
    host: HostConfig = {
        "NetworkMode": command.network if command.network in ("host", "none") else "default",
        "Privileged": command.insecure,
        "Ulimits": [dict(item) for item in request.ulimits],  # type: ignore[misc]  # Docker's form, as it came
        "CgroupnsMode": "private",
    }
    if request.shm_size:
        host["ShmSize"] = request.shm_size
    made = spec.generate(
        spec.ContainerInput(
            id=identifier,
            config=config,
            host_config=host,
            root_path=root_path,
            rootfs=dict(rootfs),
            mounts=[dict(item.oci) for item in prepared if item.oci],
            files=[dict(item) for item in files],
        ),
        {},
        facts,
    )
    process = made["process"]
    given = {entry.partition("=")[0] for entry in env}
    process["env"] = [entry for entry in process["env"] if entry.partition("=")[0] in given | {"PATH"}]
    return made


def host_files(
    directory: str, request: BuildRequest, *, network: str, gateway: str, embedded: bool
) -> list[dict[str, Any]]:
    """Write /etc/hosts and /etc/resolv.conf of the build's containers to `directory`; the mounts of them."""
    address = "127.0.0.1" if network == "host" else gateway
    texts = {
        "hosts": hostfiles.hosts(HOSTNAME, "", [], request.extra_hosts, address)
        if network != "host" or request.extra_hosts
        else hostfacts.read_text("/etc/hosts"),
        "resolv.conf": hostfacts.read_text("/etc/resolv.conf")
        if network == "host"
        else _resolv_conf(embedded=embedded),
    }
    place = f"{directory}/files-{network}-{int(embedded)}"
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name, text in texts.items():
        with open(f"{place}/{name}", "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{place}/{name}",
            "options": ["rbind", "rprivate", "ro"],
            "x-create": "file",
        }
        for name in texts
    ]


def secret_file(directory: str, unique: str, mount: Mount, data: bytes) -> str:
    """Write a secret below `directory` (a tmpfs) with the mode and owner that the mount asks for; its path."""
    path = f"{directory}/secret-{unique}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        os.write(fd, data)
        os.fchown(fd, mount.uid or 0, mount.gid or 0)
        os.fchmod(fd, 0o400 if mount.mode is None else mount.mode)
    finally:
        os.close(fd)
    return path


def secret_target(mount: Mount) -> str:
    """Where a secret is seen; empty for one that is only a variable."""
    if mount.target:
        return gopath.clean(mount.target)
    return "" if mount.env else f"/run/secrets/{mount.id}"


def agent_target(mount: Mount, number: int) -> str:
    """Where the agent's socket is seen."""
    return gopath.clean(mount.target) if mount.target else f"{_AGENT}{number}"


def bind(source: str, target: str, *, readonly: bool) -> dict[str, Any]:
    """A bind mount of a directory or file."""
    try:
        directory = stat.S_ISDIR(os.stat(source).st_mode)
    except FileNotFoundError as error:
        raise NotFound(f"mount source {source}: not found") from error
    return {
        "destination": target,
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", *(["ro"] if readonly else [])],
        "x-create": "dir" if directory else "file",
    }


def tmpfs(mount: Mount) -> dict[str, Any]:
    """A tmpfs mount."""
    options = ["nosuid", *([f"size={mount.size}"] if mount.size else [])]
    return {"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}


def absolute(target: str, cwd: str) -> str:
    """The place of a mount: relative ones start at the working directory. Raises InvalidParameter for the root."""
    place = gopath.clean(target if target.startswith("/") else f"{cwd}/{target}")
    if place == "/":
        raise InvalidParameter("invalid mount target '/'")
    return place


def _resolv_conf(*, embedded: bool) -> str:
    return hostfiles.resolv_conf(
        hostfiles.parse_resolv_conf(hostfacts.read_text("/etc/resolv.conf")), embedded=embedded
    )
