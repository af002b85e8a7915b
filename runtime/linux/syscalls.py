"""Wrap the kernel: one class whose methods are system calls under the kernel's names.

Python's `os` has no mount, setns, clone3 or openat2 (or only in later versions), and the C library's set*id wrappers
signal every thread: these are the raw calls, for the calling thread only. Whoever needs the kernel takes a `Kernel` as
a parameter, so that tests put a recording one in its place.
"""

from __future__ import annotations

import ctypes
import os
import struct
from errno import EAGAIN
from typing import TYPE_CHECKING, Final

from runtime.errors import NotSupported, SyscallError
from runtime.linux import constants as c

if TYPE_CHECKING:
    from collections.abc import Sequence

    Path = str | bytes

# name: (x86-64, arm64); calls from 424 on have one number everywhere
_NUMBERS: Final = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "prctl": (157, 167),
    "capget": (125, 90),
    "capset": (126, 91),
    "seccomp": (317, 277),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "mkdirat": (258, 34),
    "mknodat": (259, 33),
    "symlinkat": (266, 36),
    "unlinkat": (263, 35),
    "readlinkat": (267, 78),
    "fstatfs": (138, 44),
    "ioctl": (16, 29),
    "memfd_create": (319, 279),
    "fcntl": (72, 25),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "prlimit64": (302, 261),
    "ioprio_set": (251, 30),
    "sched_setattr": (314, 274),
    "setsid": (112, 157),
    "rt_sigaction": (13, 134),
    "execve": (59, 221),
    "execveat": (322, 281),
    "pidfd_send_signal": (424, 424),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
}
_COLUMN: Final = {"x86_64": 0, "aarch64": 1}.get(os.uname().machine)
_NR: Final = {name: numbers[_COLUMN or 0] for name, numbers in _NUMBERS.items()}

# c_void_p takes integers, bytes, arrays and None alike, always 64 bits wide (a bare int would be passed as 32).
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6
_get_errno = ctypes.get_errno

# Array types are made here because the making of one takes 0.1 ms in a fork.
_CloneArgs = ctypes.c_uint64 * 11
_Statfs = ctypes.c_char * 256
_Capabilities = ctypes.c_char * 24
_MANY: Final = 1024
_ManyStrings = ctypes.c_char_p * _MANY

_SIGCHLD: Final = 17
_CLONE_ALWAYS: Final = c.CLONE_PIDFD | c.CLONE_CLEAR_SIGHAND
_Arg = object
_OPENAT2_TRIES: Final = 128
_OPEN_HOW: dict[tuple[int, int, int], bytes] = {}


def _call(name: str, path: Path, a: _Arg = 0, b: _Arg = 0, d: _Arg = 0, e: _Arg = 0, f: _Arg = 0, g: _Arg = 0) -> int:
    result: int = _syscall(_NR[name], a, b, d, e, f, g)
    if result == -1:
        errno = _get_errno()
        raise SyscallError(name, errno, os.fsdecode(path))
    return result


class Kernel:
    """The running kernel. Every method raises `SyscallError` with the call's name, errno and path."""

    __slots__ = ()

    # processes and namespaces

    def clone3(self, flags: int, *, sibling: bool = False) -> tuple[int, int]:
        """Fork into new namespaces: `(pid, pidfd)` in the parent, `(0, -1)` in the child.

        `sibling`: the child's parent is the caller's (CLONE_PARENT).

        Only for a single-threaded process: the child runs on without the interpreter's after-fork hooks.
        Signal handlers of the parent are back at their default in the child.
        """
        if _COLUMN is None:
            raise NotSupported(f"machine {os.uname().machine}: no system call table")
        pidfd = ctypes.c_int(-1)
        if sibling:
            # The exit signal is then that of the caller, and the kernel refuses one in the arguments.
            args = _CloneArgs(flags | c.CLONE_PARENT | _CLONE_ALWAYS, ctypes.addressof(pidfd), 0, 0, 0)
        else:
            args = _CloneArgs(flags | _CLONE_ALWAYS, ctypes.addressof(pidfd), 0, 0, _SIGCHLD)
        pid = _call("clone3", "", ctypes.addressof(args), ctypes.sizeof(args))
        return pid, pidfd.value

    def unshare(self, flags: int) -> None:
        _call("unshare", "", flags)

    def setns(self, fd: int, nstype: int) -> None:
        """Join the namespace of an nsfs descriptor, or those named in `nstype` of a pidfd's process."""
        _call("setns", "", fd, nstype)

    def pidfd_open(self, pid: int) -> int:
        return _call("pidfd_open", str(pid), pid, 0)

    def pidfd_send_signal(self, pidfd: int, signum: int) -> None:
        _call("pidfd_send_signal", "", pidfd, signum, 0, 0)

    def pidfd_getfd(self, pidfd: int, target_fd: int) -> int:
        """A duplicate of another process's descriptor (needs ptrace rights over it)."""
        return _call("pidfd_getfd", "", pidfd, target_fd, 0)

    def close_range(self, first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
        _call("close_range", "", first, last, flags)

    def execve(self, path: Path, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
        """Replace the program, with the environment's strings exactly as given; returns only by raising."""
        _call("execve", path, os.fsencode(path), _strings(argv), _strings(envp))

    def execveat(self, fd: int, argv: Sequence[bytes], envp: Sequence[bytes]) -> None:
        """Execute the open file `fd`; returns only by raising."""
        _call("execveat", "", fd, b"", _strings(argv), _strings(envp), c.AT_EMPTY_PATH)

    # mounts

    def mount(self, source: Path, target: Path, fstype: str, flags: int, data: Path = "") -> None:
        _call(
            "mount", target, os.fsencode(source), os.fsencode(target), fstype.encode(), flags, os.fsencode(data) or None
        )

    def umount2(self, target: Path, flags: int) -> None:
        _call("umount2", target, os.fsencode(target), flags)

    def pivot_root(self, new_root: Path, put_old: Path) -> None:
        _call("pivot_root", new_root, os.fsencode(new_root), os.fsencode(put_old))

    def chroot(self, path: Path) -> None:
        _call("chroot", path, os.fsencode(path))

    def open_tree(self, dirfd: int, path: Path, flags: int) -> int:
        """A descriptor of a mount or, with OPEN_TREE_CLONE, of a detached copy of it (close-on-exec always)."""
        return _call("open_tree", path, dirfd, os.fsencode(path), flags | c.OPEN_TREE_CLOEXEC)

    def move_mount(self, from_fd: int, to_fd: int, name: Path = "") -> None:
        """Attach the mount of `from_fd` on what `to_fd` holds open (O_PATH), or on `name` in that directory."""
        flags = c.MOVE_MOUNT_F_EMPTY_PATH | (0 if name else c.MOVE_MOUNT_T_EMPTY_PATH)
        _call("move_mount", name, from_fd, b"", to_fd, os.fsencode(name), flags)

    def fsopen(self, fstype: str) -> int:
        return _call("fsopen", fstype, fstype.encode(), c.FSOPEN_CLOEXEC)

    def fsconfig(self, fd: int, command: int, key: str = "", value: Path = "") -> None:
        """Set one option of a file system context, or run one of the FSCONFIG_CMD_* with neither key nor value."""
        if command == c.FSCONFIG_SET_STRING:
            _call("fsconfig", key, fd, command, key.encode(), os.fsencode(value), 0)
        else:
            _call("fsconfig", key, fd, command, key.encode() or None, None, 0)

    def fsmount(self, fd: int, attributes: int) -> int:
        """A detached mount of a created file system context."""
        return _call("fsmount", "", fd, c.FSMOUNT_CLOEXEC, attributes)

    def mount_setattr(
        self,
        fd: int,
        attr_set: int,
        attr_clr: int = 0,
        *,
        propagation: int = 0,
        recursive: bool = False,
        userns: int = 0,
    ) -> None:
        """Change flags and propagation of the mount that `fd` (open_tree, fsmount) refers to."""
        flags = c.AT_EMPTY_PATH | (c.AT_RECURSIVE if recursive else 0)
        attr = struct.pack("=QQQQ", attr_set, attr_clr, propagation, userns)
        _call("mount_setattr", "", fd, b"", flags, attr, len(attr))

    # files

    def openat2(self, dirfd: int, path: Path, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
        """Open with a bounded path walk (RESOLVE_*); close-on-exec always."""
        fd = self.try_openat2(dirfd, path, flags, mode=mode, resolve=resolve)
        if fd < 0:
            raise SyscallError("openat2", -fd, os.fsdecode(path))
        return fd

    def try_openat2(self, dirfd: int, path: Path, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
        """openat2 where failing is normal: a negative errno instead of an exception, whose first one costs 0.3 ms in a fork."""
        key = (flags, mode, resolve)
        how = _OPEN_HOW.get(key)
        if how is None:
            how = _OPEN_HOW[key] = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
        encoded = os.fsencode(path)
        for _ in range(_OPENAT2_TRIES):
            fd: int = _syscall(_NR["openat2"], dirfd, encoded, how, 24, 0, 0)
            if fd >= 0:
                return fd
            errno = _get_errno()
            if errno != EAGAIN:  # a rename or mount anywhere while a `..` was being walked: nothing is wrong
                break
        return -errno

    def mkdirat(self, dirfd: int, path: Path, mode: int) -> None:
        _call("mkdirat", path, dirfd, os.fsencode(path), mode)

    def mknodat(self, dirfd: int, path: Path, mode: int, device: int = 0) -> None:
        """`device` as made by os.makedev (the kernel takes the same encoding for numbers below 2^32)."""
        _call("mknodat", path, dirfd, os.fsencode(path), mode, device)

    def symlinkat(self, target: Path, dirfd: int, path: Path) -> None:
        _call("symlinkat", path, os.fsencode(target), dirfd, os.fsencode(path))

    def unlinkat(self, dirfd: int, path: Path, flags: int = 0) -> None:
        _call("unlinkat", path, dirfd, os.fsencode(path), flags)

    def fstatfs_type(self, fd: int) -> int:
        """The magic number (f_type) of the file system that holds `fd`."""
        buffer = _Statfs()
        _call("fstatfs", "", fd, buffer)
        magic: int = struct.unpack_from("=q", buffer)[0]
        return magic

    def ioctl(self, fd: int, request: int, argument: int | bytes = 0) -> int:
        """`argument` is passed by value (int) or by address (bytes, read by the kernel only)."""
        return _call("ioctl", "", fd, request, argument)

    def memfd_create(self, name: str, flags: int = c.MFD_CLOEXEC) -> int:
        return _call("memfd_create", name, name.encode(), flags)

    def add_seals(self, fd: int, seals: int) -> None:
        _call("fcntl", "", fd, c.F_ADD_SEALS, seals)

    # identity and limits

    def prctl(self, option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
        return _call("prctl", "", option, arg2, arg3, arg4, arg5)

    def set_name(self, name: str) -> None:
        """The thread's name (comm), cut at 15 bytes."""
        _call("prctl", "", c.PR_SET_NAME, name.encode()[:15] + b"\0")

    def set_command_line(self, start: int, end: int, text: bytes) -> None:
        """Overwrite what `ps` shows: the argument area of our own stack, arg_start to arg_end of /proc/self/stat."""
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, min(len(text), end - start - 1))

    def default_action(self, signum: int) -> None:
        """Give a signal its default action, also one of the two that the C library keeps for itself."""
        # struct sigaction of zeros is SIG_DFL without flags; the last argument is the size of its signal set
        _call("rt_sigaction", str(signum), signum, bytes(32), None, 8)

    def capset(self, effective: int, permitted: int, inheritable: int) -> None:
        """Set the calling thread's capabilities, each a 64-bit mask."""
        low = 0xFFFFFFFF
        data = struct.pack(
            "=6I",
            *(effective & low, permitted & low, inheritable & low),
            *(effective >> 32, permitted >> 32, inheritable >> 32),
        )
        _call("capset", "", struct.pack("=Ii", c.LINUX_CAPABILITY_VERSION_3, 0), data)

    def capget(self) -> tuple[int, int, int]:
        """The calling thread's (effective, permitted, inheritable) masks."""
        data = _Capabilities()
        _call("capget", "", struct.pack("=Ii", c.LINUX_CAPABILITY_VERSION_3, 0), data)
        e0, p0, i0, e1, p1, i1 = struct.unpack("=6I", data)
        return e0 | e1 << 32, p0 | p1 << 32, i0 | i1 << 32

    def capbset_drop(self, capability: int) -> None:
        _call("prctl", "", c.PR_CAPBSET_DROP, capability)

    def seccomp_set_filter(self, program: bytes, flags: int = 0) -> None:
        """Install a BPF program (8 bytes an instruction) on the calling thread."""
        fprog = struct.pack("=HxxxxxxQ", len(program) // 8, _address(program))
        _call("seccomp", "", c.SECCOMP_SET_MODE_FILTER, flags, fprog)

    def setresuid(self, ruid: int, euid: int, suid: int) -> None:
        _call("setresuid", "", ruid, euid, suid)

    def setresgid(self, rgid: int, egid: int, sgid: int) -> None:
        _call("setresgid", "", rgid, egid, sgid)

    def setgroups(self, groups: list[int]) -> None:
        _call("setgroups", "", len(groups), struct.pack(f"={len(groups)}I", *groups))

    def sethostname(self, name: str) -> None:
        encoded = name.encode()
        _call("sethostname", "", encoded, len(encoded))

    def setdomainname(self, name: str) -> None:
        encoded = name.encode()
        _call("setdomainname", "", encoded, len(encoded))

    def setsid(self) -> None:
        _call("setsid", "")

    def keyctl_join_session_keyring(self, name: str) -> None:
        _call("keyctl", name, c.KEYCTL_JOIN_SESSION_KEYRING, name.encode())

    def personality(self, persona: int) -> None:
        _call("personality", "", persona)

    def prlimit(self, pid: int, resource: int, soft: int, hard: int) -> None:
        """Set one resource limit; 2^64-1 is unlimited."""
        _call("prlimit64", "", pid, resource, struct.pack("=QQ", soft, hard), 0)

    def ioprio_set(self, which: int, who: int, priority: int) -> None:
        _call("ioprio_set", "", which, who, priority)

    def sched_setattr(self, attributes: bytes) -> None:
        """Set the calling thread's scheduling policy from an encoded struct sched_attr."""
        _call("sched_setattr", "", 0, attributes, 0)


def _strings(values: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    array_type = _ManyStrings if len(values) < _MANY else ctypes.c_char_p * (len(values) + 1)
    return array_type(*values)


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


KERNEL: Final = Kernel()
