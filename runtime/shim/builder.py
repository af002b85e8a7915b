"""Build the container in a process of its own that ends with it: what it touched of shared memory goes with it.

Reading a spec and planning a root file system writes to a megabyte of the zygote's pages (reference counts), which a
shim would keep for as long as its container runs. The container's first process is made with CLONE_PARENT: its parent
is the shim, not the builder.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.oci import create, plan
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel

HELD = "held:"
"""A namespace path that names a descriptor the shim holds."""


class Built:
    """A container that waits for its start; the caller owns both descriptors."""

    __slots__ = ("pid", "pidfd", "skipped", "sync")

    def __init__(self, pid: int, pidfd: int, sync: int, skipped: list[str]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.sync = sync
        self.skipped = skipped


def build(
    kernel: Kernel,
    request: dict[str, Any],
    *,
    stdio: Sequence[int | None],
    console: int | None,
    cgroup: Manager,
    held: dict[str, int],
) -> Built:
    """Make the container of `request["bundle"]` up to the point before its program runs.

    Raises the StartError or other EngineError of what failed, after which nothing of it is left.
    """
    ours, theirs = seqpacket.pair()
    builder = os.fork()
    if builder == 0:
        ours.close()
        _run(kernel, request, theirs, stdio=stdio, console=console, cgroup=cgroup, held=held)
    theirs.close()
    with ours:
        try:
            message, fds = seqpacket.recv(ours)
        except EOFError:
            message, fds = {"error": SystemFailure("container builder: ended without a word").to_wire()}, []
    _reap(builder)
    if "error" in message:
        _reap_all()
        error = message["error"]
        raise StartError(
            str(message.get("stage", "create")),
            int(message.get("exit_code", ENGINE_FAILED)),
            error["message"],
            error["kind"],
            **error["fields"],
        )
    return Built(message["pid"], kernel.pidfd_open(message["pid"]), fds[0], message["skipped"])


def read_spec(bundle: str) -> dict[str, Any]:
    """The bundle's config.json. Raises InvalidParameter."""
    try:
        with open(f"{bundle}/config.json", encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"bundle {bundle}: its config.json cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InvalidParameter(f"bundle {bundle}: its config.json is not an object")
    return found


def exec_settings(bundle: str) -> tuple[bytes, bool]:
    """What an exec needs of the container's spec: the seccomp program, and whether it has a user namespace."""
    spec = read_spec(bundle)
    program, _ = plan.seccomp_program(spec)
    kinds = {entry.get("type") for entry in (spec.get("linux") or {}).get("namespaces") or ()}
    return program, "user" in kinds


def _run(
    kernel: Kernel,
    request: dict[str, Any],
    sock: socket.socket,
    *,
    stdio: Sequence[int | None],
    console: int | None,
    cgroup: Manager,
    held: dict[str, int],
) -> None:
    """In the builder; never returns."""
    try:
        spec = _resolved(read_spec(request["bundle"]), request, held)
        skipped = cgroup.create((spec.get("linux") or {}).get("resources") or {})
        made = create.create(
            kernel,
            spec,
            bundle=request["bundle"],
            container=request["id"],
            stdio=(stdio[0], stdio[1], stdio[2]),
            cgroup=cgroup,
            console=console,
            sibling=True,
        )
        seqpacket.send(sock, {"pid": made.pid, "skipped": skipped}, [made.sync])
    except BaseException as error:  # nothing may return into the copy of the shim
        seqpacket.send(sock, _failure(error))
    finally:
        os._exit(0)


def _resolved(spec: dict[str, Any], request: dict[str, Any], held: dict[str, int]) -> dict[str, Any]:
    """The spec with `held:NAME` namespace paths turned into descriptors of ours."""
    spec["process"]["terminal"] = bool(request.get("tty"))
    for namespace in (spec.get("linux") or {}).get("namespaces") or ():
        path = namespace.get("path") or ""
        if not path.startswith(HELD):
            continue
        fd = held.get(path[len(HELD) :])
        if fd is None:
            raise InvalidParameter(f"namespace {namespace.get('type')}: no held descriptor {path[len(HELD) :]}")
        namespace["path"] = f"/proc/self/fd/{fd}"
    return spec


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, StartError):
        return {"stage": error.stage, "exit_code": error.exit_code, "error": error.to_wire()}
    if isinstance(error, EngineError):
        return {"error": error.to_wire()}
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return {"error": SystemFailure(f"create{where}: {(error.strerror or str(error)).lower()}").to_wire()}
    return {"error": InvalidParameter(f"start request: malformed, {error!r}").to_wire()}


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _reap_all() -> None:
    """A builder that failed has killed the container's first process; its exit status is its parent's to take."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
