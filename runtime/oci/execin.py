"""Put a further process into a running container.

One fork is enough: setns on a pid namespace moves only the children of the caller, so the caller goes there, forks and
comes back; everything else the child joins by the target's pidfd in one call. Until execve it is not dumpable, for it
is already visible inside.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NoReturn

from runtime.linux import constants as c
from runtime.oci import console as terminals
from runtime.oci import create, credentials, init, messages, process
from runtime.oci.mounts import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel

_JOINED: Final = c.CLONE_NEWNS | c.CLONE_NEWUTS | c.CLONE_NEWIPC | c.CLONE_NEWNET
_CGROUP: Final = c.CLONE_NEWCGROUP


class Target:
    """The container to enter: pidfd of its first process, our own pid namespace to come back to, its seccomp program."""

    __slots__ = ("own_pidns_fd", "pidfd", "seccomp", "time", "user")

    def __init__(
        self, pidfd: int, own_pidns_fd: int, seccomp: bytes = b"", *, user: bool = False, time: bool = False
    ) -> None:
        """`user`, `time`: it has such a namespace of its own."""
        self.pidfd = pidfd
        self.own_pidns_fd = own_pidns_fd
        self.seccomp = seccomp
        self.user = user
        self.time = time


def enter(
    kernel: Kernel,
    target: Target,
    spec: dict[str, Any],
    *,
    stdio: create.Stdio,
    cgroup: Manager | None,
    console: int | None = None,
    keep: Sequence[int] = (),
    sibling: bool = False,
) -> tuple[int, int, int]:
    """Fork `spec` (a `process` section) into the container: (pid, pidfd, error pipe).

    The pipe gives end of file when execve has succeeded, else a failure for messages.receive. Only for a
    single-threaded process, whose child it is, or whose parent's with `sibling`. Raises InvalidParameter, SyscallError.
    """
    prepared = process.parse(spec, target.seccomp)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ours, theirs = create.socket_pair()
    try:
        kernel.setns(target.pidfd, c.CLONE_NEWPID)
        try:
            pid, pidfd = kernel.clone3(0, sibling=sibling)
            if pid == 0:
                start = init.Start(sync=theirs, stdio=stdio, null=null, console=console, cgroup=cgroup, keep=keep)
                _run(kernel, target, prepared, start)
        finally:
            kernel.setns(target.own_pidns_fd, c.CLONE_NEWPID)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(null)
        os.close(theirs)
    if prepared.oom_score_adj is not None:
        try:
            credentials.write_oom_score_adj(pid, int(prepared.oom_score_adj))
        except FileNotFoundError:  # it was quick: ended and failed already
            pass
    return pid, pidfd, ours


def _run(kernel: Kernel, target: Target, prepared: process.Process, start: init.Start) -> NoReturn:
    stage = "namespaces"
    try:
        kernel.prctl(c.PR_SET_DUMPABLE, 0)
        init.reset_signals(kernel)
        os.umask(0)
        kernel.setsid()
        _join(kernel, target)
        context = Context(kernel, userns=target.user)
        context.root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        init.join_new_keyring(kernel, "_ses")
        stage = "stdio"
        if prepared.terminal and start.console is not None:
            master, context.slave = terminals.open_pair(kernel, context.root, prepared.size)
            terminals.send_master(start.console, master)
            os.close(master)
        init.take_stdio(kernel, context, start.stdio, start.null)
        stage = "process"
        credentials.resolve(kernel, prepared, context.root)
        stage = "start"
        if start.cgroup is not None:
            start.cgroup.join()
        init.become(kernel, context, prepared, start)
    except BaseException as error:  # nothing may escape into the copy of the caller's stack
        messages.send(start.sync, messages.encode_failure(stage, error))
    finally:
        os._exit(messages.ENGINE_FAILED)


def _join(kernel: Kernel, target: Target) -> None:
    flags = _JOINED | _CGROUP | (c.CLONE_NEWUSER if target.user else 0) | (c.CLONE_NEWTIME if target.time else 0)
    kernel.setns(target.pidfd, flags)
    if target.user:
        kernel.setresgid(0, 0, 0)
        kernel.setresuid(0, 0, 0)
        kernel.prctl(c.PR_SET_DUMPABLE, 0)
