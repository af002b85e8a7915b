"""The child's side of create: from the return of clone3 to execve.

It runs in a copy of the creator without after-fork hooks: it imports nothing, leaves only by execve or _exit, and tells
every failure over the sync socket. It is not dumpable until execve, so nothing in the container can look into it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes an enum of each answer: 0.25 ms in a fork
import os
import socket
from errno import ENOSYS
from typing import TYPE_CHECKING, Final, NoReturn

from runtime.errors import SyscallError, SystemFailure
from runtime.linux import constants as c
from runtime.linux import saferesolve
from runtime.oci import console, credentials, hooks, messages, reaper
from runtime.oci.mounts import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel
    from runtime.oci.plan import Plan
    from runtime.oci.process import Process

_NULL: Final = os.makedev(1, 3)
_LIBRARY_SIGNALS: Final = (32, 33)
_SIGNALS: Final = tuple(number for number in range(1, 65) if number not in {9, 19, 32, 33})


class Start:
    """What the child is given beside the plan; descriptors are numbers in the copied table."""

    __slots__ = ("cgroup", "console", "gate", "joined", "keep", "maps", "null", "stdio", "sync")

    def __init__(
        self,
        *,
        sync: int,
        stdio: tuple[int | None, int | None, int | None],
        null: int,
        console: int | None,
        cgroup: Manager | None,
        gate: int = -1,
        joined: Sequence[tuple[int, int]] = (),
        maps: bool = False,
        keep: Sequence[int] = (),
    ) -> None:
        self.sync = sync
        self.stdio = stdio
        self.null = null
        self.console = console
        self.cgroup = cgroup
        self.gate = gate
        self.joined = joined
        self.maps = maps
        self.keep = keep


class _Stage:
    """Where we are, for the failure message."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "set-up"


def run(kernel: Kernel, plan: Plan, start: Start) -> NoReturn:
    """Become the container, or report why not and exit."""
    stage = _Stage()
    try:
        _run(kernel, plan, start, stage)
    except BaseException as error:  # nothing may escape into the copy of the creator's stack
        messages.send(start.sync, messages.encode_failure(stage.name, error))
    finally:
        os._exit(messages.ENGINE_FAILED)


def _run(kernel: Kernel, plan: Plan, start: Start, stage: _Stage) -> None:
    kernel.prctl(c.PR_SET_DUMPABLE, 0)
    reset_signals(kernel)
    os.umask(0)
    kernel.setsid()
    stage.name = "namespaces"
    _enter_namespaces(kernel, start)
    join_new_keyring(kernel, f"_ses.{plan.container}")
    if plan.hostname:
        kernel.sethostname(plan.hostname)
    if plan.domainname:
        kernel.setdomainname(plan.domainname)
    context = Context(kernel, userns=start.maps, console=-1 if start.console is None else start.console)
    for step in plan.steps:
        stage.name = "mount"
        try:
            step.execute(context)
        except BaseException:
            stage.name = step.describe()
            raise
    _hooks_before_pivot(kernel, plan, start, stage)
    stage.name = "pivot_root"
    _pivot(kernel, plan, context)
    stage.name = "stdio"
    take_stdio(kernel, context, start.stdio, start.null)
    stage.name = "process"
    credentials.resolve(kernel, plan.process, context.root)
    _wait_for_go(start, stage)
    stage.name = "start"
    _finish(kernel, plan, start, context)


def reset_signals(kernel: Kernel) -> None:
    """Default actions, nothing blocked: the interpreter ignores SIGPIPE, and ignored signals survive execve.

    glibc's posix_spawn leaves 32 and 33 ignored in whatever it starts, and its own functions refuse to touch them.
    """
    for number in _LIBRARY_SIGNALS:
        kernel.default_action(number)
    for number in _SIGNALS:
        if _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def join_new_keyring(kernel: Kernel, name: str) -> None:
    """Leave the creator's session keys behind; a kernel without keys has none to leave."""
    try:
        kernel.keyctl_join_session_keyring(name)
    except SyscallError as error:
        if error.errno != ENOSYS:
            raise


def _enter_namespaces(kernel: Kernel, start: Start) -> None:
    if start.maps:
        _expect(start.sync, messages.MAPS)
        kernel.setresgid(0, 0, 0)
        kernel.setresuid(0, 0, 0)
        kernel.prctl(c.PR_SET_DUMPABLE, 0)
    for flag, fd in start.joined:
        kernel.setns(fd, flag)


def _hooks_before_pivot(kernel: Kernel, plan: Plan, start: Start, stage: _Stage) -> None:
    stage.name = "hooks"
    if plan.runtime_hooks:
        messages.send(start.sync, messages.HOOKS)
        _expect(start.sync, messages.GO)
    if "createContainer" in plan.hooks:
        hooks.run(kernel, "createContainer", plan.hooks["createContainer"], plan.state("creating", os.getpid()))


def _expect(sync: int, wanted: bytes) -> None:
    """Wait for the creator's word; when it is gone there is nobody to be the container's parent."""
    if os.read(sync, 64) != wanted:
        os._exit(messages.ENGINE_FAILED)


def _pivot(kernel: Kernel, plan: Plan, context: Context) -> None:
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(context.root)
    kernel.pivot_root(".", ".")  # stacks the old root on the new one
    os.fchdir(old)
    os.close(old)
    if plan.propagation != c.MS_SLAVE:
        kernel.mount("", ".", "", c.MS_SLAVE | c.MS_REC)  # or the host's mounts would go with ours
    kernel.umount2(".", c.MNT_DETACH)
    os.chdir("/")
    if plan.propagation != c.MS_SLAVE:
        kernel.mount("", "/", "", plan.propagation | c.MS_REC)


def take_stdio(kernel: Kernel, context: Context, stdio: tuple[int | None, int | None, int | None], null: int) -> None:
    """Descriptors 0 to 2: the terminal, or what was given, or the container's /dev/null (the host's where it has none)."""
    if context.slave >= 0:
        console.adopt(kernel, context.slave)
        return
    own_null = null
    if None in stdio:
        found = saferesolve.open_if_there(kernel, context.root, "/dev/null", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        if found is not None and os.fstat(found).st_rdev == _NULL:
            os.set_blocking(found, True)
            own_null = found
    sources = [own_null if fd is None else fd for fd in stdio]
    # above the three first, so that none is overwritten before it is copied
    lifted = [os.dup(fd) if fd < 3 and fd != place else fd for place, fd in enumerate(sources)]
    while any(fd < 3 and fd != place for place, fd in enumerate(lifted)):
        lifted = [os.dup(fd) if fd < 3 and fd != place else fd for place, fd in enumerate(lifted)]
    for place, fd in enumerate(lifted):
        if fd == place:
            os.set_inheritable(fd, True)
        else:
            os.dup2(fd, place)


def _wait_for_go(start: Start, stage: _Stage) -> None:
    stage.name = "start"
    messages.send(start.sync, messages.CREATED)
    _expect(start.sync, messages.GO)  # with a gate: we are on record, so that somebody can delete us
    if start.gate < 0:
        return
    # created by a command that has left: whoever connects to the gate starts us and hears how it went
    with socket.socket(fileno=start.gate) as gate:
        peer, _ = gate.accept()
        os.dup2(peer.detach(), start.sync, inheritable=False)


def _finish(kernel: Kernel, plan: Plan, start: Start, context: Context) -> None:
    if plan.time_offsets is not None:
        _enter_time_namespace(kernel, context, plan.time_offsets)
    if start.cgroup is not None:
        start.cgroup.join()
    if plan.new_cgroup_namespace:
        kernel.unshare(c.CLONE_NEWCGROUP)
    if "startContainer" in plan.hooks:
        hooks.run(kernel, "startContainer", plan.hooks["startContainer"], plan.state("created", os.getpid()))
    if plan.personality is not None:
        kernel.personality(plan.personality)
    become(kernel, context, plan.process, start, with_init=plan.with_init)


def become(kernel: Kernel, context: Context, process: Process, start: Start, *, with_init: bool = False) -> None:
    """Credentials, then the program; every other descriptor goes with execve."""
    credentials.put_on(context, process)
    kernel.close_range(3, flags=c.CLOSE_RANGE_CLOEXEC)
    for fd in start.keep:
        os.set_inheritable(fd, True)
    if not with_init:
        credentials.execute(kernel, process)
        return
    reaper.run(kernel, lambda: _execute_below_init(kernel, process, start.sync))


def _execute_below_init(kernel: Kernel, process: Process, sync: int) -> None:
    try:
        credentials.execute(kernel, process, by_shell=True)
    except BaseException as error:  # our parent, pid 1, has given up the socket: only we can say it
        messages.send(sync, messages.encode_failure("start", error))
        os._exit(getattr(error, "exit_code", messages.ENGINE_FAILED))


def _enter_time_namespace(kernel: Kernel, context: Context, offsets: str) -> None:
    kernel.unshare(c.CLONE_NEWTIME)  # our children's; the offsets can be set until somebody is inside
    resolve = c.RESOLVE_BENEATH | c.RESOLVE_NO_XDEV
    if offsets:
        fd = kernel.openat2(context.proc(), "self/timens_offsets", os.O_WRONLY, resolve=resolve)
        try:
            os.write(fd, offsets.encode())
        except OSError as error:
            raise SystemFailure(f"time offsets: {os.strerror(error.errno or 0).lower()}") from error
        finally:
            os.close(fd)
    namespace = kernel.openat2(context.proc(), "self/ns/time_for_children", os.O_RDONLY)
    kernel.setns(namespace, c.CLONE_NEWTIME)
    os.close(namespace)
