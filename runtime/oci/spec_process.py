"""The process part of a container's spec, from Docker's terms: arguments, environment, user, capabilities, limits."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter
from runtime.oci import capabilities
from runtime.oci.defaults import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from runtime.oci.securityopt import SecurityOptions
    from runtime.wire.containers import ContainerConfig, HostConfig

_UNLIMITED: Final = 2**64 - 1
_RLIMITS: Final = frozenset(
    {
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
        *("rttime", "sigpending", "stack", "as"),
    }
)


def container_argv(config: ContainerConfig, image_config: Mapping[str, Any]) -> list[str]:
    """What pid 1 executes: entry point and command of the container, each else the image's.

    A container's own entry point drops the image's command; an empty one (`[]`) drops the image's entry point only,
    `[""]` both. The list is empty where nothing says what to run.
    """
    entrypoint, command = config.get("Entrypoint"), config.get("Cmd") or []
    if not entrypoint:
        command = command or image_config.get("Cmd") or []
        if entrypoint is None:
            entrypoint = image_config.get("Entrypoint") or []
    if entrypoint == [""]:
        entrypoint = []
    return [*entrypoint, *command]


def environment(
    config: ContainerConfig, image_config: Mapping[str, Any], *, hostname: str, tty: bool = False
) -> list[str]:
    """`NAME=value` entries: PATH, HOSTNAME, TERM with a terminal, the image's, the container's; later ones win in place.

    A name without `=` removes the variable. Raises InvalidParameter for an entry without a name or with a NUL byte.
    """
    defaults = [f"PATH={PATH}", f"HOSTNAME={hostname}", *(["TERM=xterm"] if tty else [])]
    return merge_environment(defaults, image_config.get("Env") or (), config.get("Env") or ())


def merge_environment(*layers: Iterable[str]) -> list[str]:
    """One environment of several, the later ones winning; an overwritten variable keeps its place."""
    merged: dict[str, str] = {}
    for layer in layers:
        for entry in layer:
            name, separator, value = entry.partition("=")
            if not name or "\0" in entry:
                raise InvalidParameter(f"invalid environment variable: {entry!r}")
            if separator:
                merged[name] = value
            else:
                merged.pop(name, None)
    return [f"{name}={value}" for name, value in merged.items()]


def working_directory(config: ContainerConfig, image_config: Mapping[str, Any]) -> str:
    """The container's, the image's or `/`, cleaned; InvalidParameter if it is not absolute."""
    path = config.get("WorkingDir") or image_config.get("WorkingDir") or "/"
    return absolute_directory(path)


def absolute_directory(path: str) -> str:
    """`path` without `.`, `..` and doubled slashes; raises InvalidParameter if it is relative."""
    if not path.startswith("/") or "\0" in path:
        raise InvalidParameter(f"the working directory {path!r} is invalid, it needs to be an absolute path")
    return "/" + posixpath.normpath(path).lstrip("/")


def rlimits(host: HostConfig) -> list[dict[str, Any]]:
    """`process.rlimits`; -1 is no limit. Raises InvalidParameter for an unknown name and a soft limit above the hard."""
    found: dict[str, dict[str, Any]] = {}
    for limit in host.get("Ulimits") or ():
        name = limit["Name"].lower()
        if name not in _RLIMITS:
            raise InvalidParameter(f"invalid ulimit type: {limit['Name']}")
        soft, hard = _limit(limit["Soft"]), _limit(limit["Hard"])
        if soft > hard:
            raise InvalidParameter(
                f"ulimit {name}: soft limit must be less than or equal to hard limit: {limit['Soft']} > {limit['Hard']}"
            )
        kind = f"RLIMIT_{name.upper()}"
        found[kind] = {"type": kind, "soft": soft, "hard": hard}
    return list(found.values())


def process(
    config: ContainerConfig,
    host: HostConfig,
    image_config: Mapping[str, Any],
    *,
    hostname: str,
    security: SecurityOptions,
    available: AbstractSet[str],
) -> dict[str, Any]:
    """`process` of the spec, with `x-user` and `x-groups` to be resolved inside the root file system."""
    argv = container_argv(config, image_config)
    if not argv:
        raise InvalidParameter("no command specified")
    if any("\0" in word for word in argv):
        raise InvalidParameter("the command holds a NUL byte")
    tty = bool(config.get("Tty"))
    granted = capabilities.grant(
        host.get("CapAdd") or (),
        host.get("CapDrop") or (),
        privileged=bool(host.get("Privileged")),
        available=available,
    )
    out: dict[str, Any] = {
        "terminal": tty,
        "user": {"uid": 0, "gid": 0},
        "x-user": config.get("User") or image_config.get("User") or "",
        "x-groups": [str(group) for group in host.get("GroupAdd") or ()],
        "args": argv,
        "env": environment(config, image_config, hostname=hostname, tty=tty),
        "cwd": working_directory(config, image_config),
        "capabilities": capabilities.sets(granted),
        "noNewPrivileges": security.no_new_privileges,
        "oomScoreAdj": _oom_score(host),
        "rlimits": rlimits(host),
    }
    if security.apparmor and not host.get("Privileged"):
        out["apparmorProfile"] = security.apparmor
    return out


def exec_process(
    container: Mapping[str, Any],
    args: Sequence[str],
    *,
    env: Sequence[str] = (),
    user: str = "",
    cwd: str = "",
    tty: bool = False,
    privileged: bool = False,
    available: AbstractSet[str] = capabilities.ALL,
) -> dict[str, Any]:
    """A further process for a container whose spec has the process `container`: an exec, a hook or a probe.

    It differs in its arguments and, where given, user, directory and additional environment; `privileged` gives it all
    `available` capabilities, the seccomp filter stays. Raises InvalidParameter.
    """
    if not args or any("\0" in word for word in args):
        raise InvalidParameter("no exec command specified" if not args else "the command holds a NUL byte")
    added_for_terminal = container["terminal"] and not tty
    inherited = [entry for entry in container["env"] if not (added_for_terminal and entry == "TERM=xterm")]
    out = dict(container)
    out.update(
        terminal=tty,
        args=list(args),
        env=merge_environment(inherited, ["TERM=xterm"] if tty and not _has(inherited, "TERM") else [], env),
        cwd=absolute_directory(cwd) if cwd else container["cwd"],
    )
    if user:
        out["x-user"] = user
    if privileged:
        out["capabilities"] = capabilities.sets(capabilities.grant((), (), privileged=True, available=available))
    return out


def _has(env: Iterable[str], name: str) -> bool:
    return any(entry.startswith(f"{name}=") for entry in env)


def _limit(value: int) -> int:
    return _UNLIMITED if value == -1 else value


def _oom_score(host: HostConfig) -> int:
    score = host.get("OomScoreAdj") or 0
    if not -1000 <= score <= 1000:
        raise InvalidParameter(f"invalid value {score}, range for oom score adj is [-1000, 1000]")
    return score
