"""Put on the identity of a container's process, in the child, just before execve.

The order is the kernel's: limits while they may be raised; seccomp before capabilities go, unless no_new_privs makes it
possible at the very end; the bounding set while CAP_SETPCAP is there; ids with keepcaps, then the final sets.
"""

from __future__ import annotations

import os
import stat
from errno import EACCES, EINVAL, ENOENT, ENOEXEC, EPERM, EROFS
from typing import TYPE_CHECKING, Final

from runtime.errors import SyscallError, SystemFailure
from runtime.linux import constants as c
from runtime.linux import saferesolve
from runtime.oci import execreason, lookpath, users
from runtime.oci.messages import NOT_EXECUTABLE, NOT_FOUND, ExecError
from runtime.oci.process import UNLIMITED

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.oci.mounts import Context
    from runtime.oci.process import Process

_SHELL: Final = b"/bin/sh"
_NULL: Final = os.makedev(1, 3)


def write_oom_score_adj(pid: int, value: int) -> None:
    """Set it from outside: the child, not dumpable, may not open its own file in a user namespace.

    Lowering needs CAP_SYS_RESOURCE; where that cannot be had, the process keeps the score it was born with.
    """
    path = f"/proc/{pid}/oom_score_adj"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if value != (born_with := int(os.read(fd, 16))):
                os.pwrite(fd, str(value).encode(), 0)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in {EACCES, EPERM} or value > born_with:
            raise SystemFailure(f"oom_score_adj {value}: {os.strerror(error.errno or 0).lower()}") from error


def resolve(kernel: Kernel, process: Process, root: int) -> None:
    """Look up user, directory and program inside `root`, which must be the current root; raises InvalidParameter, ExecError."""
    knows_home = any(entry.startswith(b"HOME=") for entry in process.env)
    if process.user is None and not knows_home:
        home = users.home_of(process.uid, saferesolve.read_text(kernel, root, "/etc/passwd"))
        process.env.append(b"HOME=" + home.encode(errors="surrogateescape"))
    elif process.user is not None:
        passwd = saferesolve.read_text(kernel, root, "/etc/passwd")
        group = saferesolve.read_text(kernel, root, "/etc/group")
        found = users.lookup(process.user, process.group_add, passwd, group)
        process.uid, process.gid, process.groups = found.uid, found.gid, found.groups
        if not knows_home:
            process.env.append(b"HOME=" + found.home.encode(errors="surrogateescape"))
    _change_directory(kernel, process)
    process.executable = lookpath.find(kernel, process.argv[0], process.env)


def _change_directory(kernel: Kernel, process: Process) -> None:
    """No magic links: /proc/self/fd/N may be a directory outside (CVE-2024-21626)."""
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        fd = kernel.openat2(c.AT_FDCWD, process.cwd, flags, resolve=c.RESOLVE_NO_MAGICLINKS)
        try:
            os.fchdir(fd)
        finally:
            os.close(fd)
    except (SyscallError, OSError) as error:
        if error.errno == EACCES and not process.directory_postponed:
            # root may not, the user may: an NFS mount with root squashed
            process.directory_postponed = True
            return
        raise ExecError(
            f'chdir to cwd ("{process.cwd}") set in config.json failed: {os.strerror(error.errno or 0).lower()}',
            NOT_FOUND if error.errno == ENOENT else NOT_EXECUTABLE,
        ) from error


def put_on(context: Context, process: Process) -> None:
    """Limits, labels, seccomp, ids and capabilities; what is left is execve. Raises SyscallError, SystemFailure."""
    kernel = context.kernel
    _apply_limits(kernel, process)
    if process.apparmor or process.selinux:
        _write_label(context, process.selinux or f"exec {process.apparmor}")
    _give_stdio(process.uid)
    if process.no_new_privs:
        kernel.prctl(c.PR_SET_NO_NEW_PRIVS, 1)
    elif process.seccomp:
        kernel.seccomp_set_filter(process.seccomp, process.seccomp_flags)
    for number in process.bounding_drop:
        kernel.capbset_drop(number)
    kernel.prctl(c.PR_SET_KEEPCAPS, 1)
    _set_groups(context, process)
    kernel.setresgid(process.gid, process.gid, process.gid)
    kernel.setresuid(process.uid, process.uid, process.uid)
    kernel.prctl(c.PR_SET_KEEPCAPS, 0)
    os.umask(process.umask)
    _change_directory_if_postponed(kernel, process)
    _set_capabilities(kernel, process)
    if process.no_new_privs and process.seccomp:
        kernel.seccomp_set_filter(process.seccomp, process.seccomp_flags)


def execute(kernel: Kernel, process: Process, *, by_shell: bool = False) -> None:
    """execve, or ExecError with the exit code that a shell would give.

    With `by_shell` a script without a first line is run by /bin/sh, as execvp(3) has it, which Docker's init uses.
    """
    try:
        try:
            kernel.execve(process.executable, process.argv, process.env)
        except SyscallError as error:
            if not by_shell or not execreason.is_bare_script(kernel, process.executable, error.errno):
                raise
            kernel.execve(_SHELL, [_SHELL, process.executable, *process.argv[1:]], process.env)
    except SyscallError as error:
        shown = os.fsdecode(process.argv[0])
        code = NOT_FOUND if error.errno == ENOENT else NOT_EXECUTABLE
        text = "exec format error" if error.errno == ENOEXEC else os.strerror(error.errno).lower()
        reason = execreason.explain(kernel, process.executable, error.errno)
        raise ExecError(f'exec: "{shown}": {text}{reason}', code) from error


def _apply_limits(kernel: Kernel, process: Process) -> None:
    for name, number, soft, hard in process.rlimits:
        try:
            kernel.prlimit(0, number, soft, hard)
        except SyscallError as error:
            shown = ":".join("unlimited" if value == UNLIMITED else str(value) for value in (soft, hard))
            raise SystemFailure(f"rlimit {name} {shown}: {os.strerror(error.errno).lower()}") from error
    if process.scheduler:
        kernel.sched_setattr(process.scheduler)
    if process.io_priority is not None:
        kernel.ioprio_set(c.IOPRIO_WHO_PROCESS, 0, process.io_priority)


def _write_label(context: Context, text: str) -> None:
    resolve = c.RESOLVE_BENEATH | c.RESOLVE_NO_XDEV | c.RESOLVE_NO_MAGICLINKS
    fd = context.kernel.openat2(context.proc(), "thread-self/attr/exec", os.O_WRONLY, resolve=resolve)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise SystemFailure(f"security label {text}: {os.strerror(error.errno or 0).lower()}") from error
    finally:
        os.close(fd)


def _give_stdio(uid: int) -> None:
    """The user may reopen /dev/stdout: pipes and terminals become theirs, /dev/null stays root's."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if status.st_uid == uid or (stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL):
            continue
        try:
            os.fchown(fd, uid, -1)
        except OSError as error:
            if error.errno not in {EINVAL, EPERM, EROFS}:
                raise


def _set_groups(context: Context, process: Process) -> None:
    try:
        context.kernel.setgroups(process.groups)
    except SyscallError as error:
        # a user namespace made without privileges has setgroups switched off; no groups are wanted then
        if error.errno != EPERM or not context.userns or set(process.groups) - {process.gid}:
            raise


def _change_directory_if_postponed(kernel: Kernel, process: Process) -> None:
    if process.directory_postponed:
        _change_directory(kernel, process)
    here = os.getcwd()
    if not here.startswith("/"):
        raise SystemFailure(f"cwd {process.cwd}: lies outside the container")


def _set_capabilities(kernel: Kernel, process: Process) -> None:
    """Grant what can be granted: the machine's own bounding set may lack some (CAP_SYS_RESOURCE in many virtual machines)."""
    _, available, _ = kernel.capget()
    permitted = process.permitted & available
    kernel.capset(process.effective & permitted, permitted, process.inheritable & available)
    kernel.prctl(c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in process.ambient:
        if (permitted & process.inheritable) >> number & 1:
            kernel.prctl(c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_RAISE, number)
