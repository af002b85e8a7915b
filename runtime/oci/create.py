"""Make a container up to the point before its program runs, and let it run.

clone3 forks the child into its new namespaces; the creator must be single-threaded and is the parent of pid 1. Between
create and start the child waits, not dumpable, its root file system done: the time to configure the network.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError
from runtime.linux import constants as c
from runtime.linux import pidfd as handles
from runtime.oci import credentials, hooks, idmap, init, messages, namespaces
from runtime.oci.messages import StartError
from runtime.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel

Stdio = tuple[int | None, int | None, int | None]


class Created:
    """A container that waits for its start. The pidfd is the caller's to close; `sync` is closed by start."""

    __slots__ = ("kernel", "pid", "pidfd", "plan", "seccomp", "sync")

    def __init__(self, kernel: Kernel, plan: Plan, pid: int, pidfd: int, sync: int) -> None:
        self.kernel = kernel
        self.plan = plan
        self.pid = pid
        self.pidfd = pidfd
        self.sync = sync
        self.seccomp = plan.process.seccomp
        """What an exec into the container must install too."""


def create(
    kernel: Kernel,
    spec: dict[str, Any],
    *,
    bundle: str,
    container: str = "",
    stdio: Stdio = (0, 1, 2),
    cgroup: Manager | None = None,
    console: int | None = None,
    keep: Sequence[int] = (),
    gate: int = -1,
    sibling: bool = False,
) -> Created:
    """Set the container up and return while it waits.

    `stdio`: descriptors for 0-2, None for /dev/null. `cgroup` has been created and is joined just before execve.
    `console`: unix socket that the terminal's master is sent over. `keep`: descriptors that the program inherits as
    they are. `gate`: a listening socket on which the child waits instead, so that the creator may leave. `sibling`: the
    child is the creator's parent's (CLONE_PARENT), who has to reap it also when this fails.
    Raises InvalidParameter, NotSupported, NotFound before anything is done, StartError after.
    """
    directories = cgroup.directories() if cgroup is not None else []
    plan = Plan(spec, bundle=bundle, container=container or os.path.basename(bundle), directories=directories)
    joined = namespaces.open_joined(plan.namespaces)
    opened = [fd for _, fd in joined]
    try:
        for bind in plan.idmapped():
            bind.open_user_namespace(kernel)
            opened.append(bind.userns)
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        opened.append(null)
        maps = bool(plan.clone_flags & c.CLONE_NEWUSER)
        outside = [entry for entry in joined if maps or entry[0] == c.CLONE_NEWPID]
        ours, theirs = socket_pair()
        with namespaces.visiting(kernel, outside):
            pid, pidfd = kernel.clone3(plan.clone_flags, sibling=sibling)
            if pid == 0:
                start = init.Start(
                    sync=theirs,
                    gate=gate,
                    stdio=stdio,
                    null=null,
                    console=console,
                    cgroup=cgroup,
                    joined=[entry for entry in joined if entry not in outside],
                    maps=maps,
                    keep=keep,
                )
                os.close(ours)
                init.run(kernel, plan, start)
    finally:
        for fd in opened:
            os.close(fd)
    os.close(theirs)
    created = Created(kernel, plan, pid, pidfd, ours)
    try:
        _accompany(kernel, created, maps=maps)
    except BaseException:
        _discard(created, sibling=sibling)
        raise
    return created


def start(created: Created) -> None:
    """Let the program run; returns once execve has succeeded. Raises StartError, the child is then to be reaped.

    A poststart hook that fails ends the container (SystemFailure).
    """
    sync, created.sync = created.sync, -1
    release(sync)
    if "poststart" in created.plan.hooks:
        state = created.plan.state("running", created.pid)
        try:
            hooks.run(created.kernel, "poststart", created.plan.hooks["poststart"], state)
        except EngineError:
            handles.send_signal(created.kernel, created.pidfd, signal.SIGKILL)
            raise


def release(sync: int) -> None:
    """Let the program behind `sync` run and close it; returns once execve has succeeded. Raises StartError."""
    try:
        messages.send(sync, messages.GO)
        wait_for_exec(sync)
    finally:
        os.close(sync)


def wait_for_exec(sync: int) -> None:
    """Until end of file, which means execve; raises StartError."""
    kind = messages.receive(sync)
    if kind is not None:
        raise StartError("start", messages.ENGINE_FAILED, f"the container said {kind} where nothing was expected")


def socket_pair() -> tuple[int, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.detach(), theirs.detach()


def _accompany(kernel: Kernel, created: Created, *, maps: bool) -> None:
    """The creator's part while the child sets itself up."""
    plan, pid, sync = created.plan, created.pid, created.sync
    if plan.process.oom_score_adj is not None:
        credentials.write_oom_score_adj(pid, int(plan.process.oom_score_adj))
    if maps:
        idmap.write(pid, plan.uids, plan.gids)
        messages.send(sync, messages.MAPS)
    kind = messages.receive(sync)
    if kind == "hooks":
        for stage, entries in plan.runtime_hooks:
            hooks.run(kernel, stage, entries, plan.state("creating", pid))
        messages.send(sync, messages.GO)
        kind = messages.receive(sync)
    if kind != "created":
        raise StartError("set-up", messages.ENGINE_FAILED, "the container's first process ended during set-up")


def _discard(created: Created, *, sibling: bool) -> None:
    try:
        created.kernel.pidfd_send_signal(created.pidfd, 9)
    except EngineError:  # it has ended already
        pass
    if not sibling:
        os.waitpid(created.pid, 0)
    os.close(created.pidfd)
    os.close(created.sync)
    created.sync = -1
