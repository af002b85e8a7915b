"""Say why the kernel refused a program that is there, from the program's own first bytes.

execve answers ENOENT for a missing interpreter and ENOEXEC for a foreign machine alike: the errno names the program,
the cause is in its first line or ELF header. Only regular files are read, and what cannot be read is not explained.
"""

from __future__ import annotations

import os
import stat
from errno import ENOENT, ENOEXEC
from typing import TYPE_CHECKING, Final, Literal

from runtime.errors import SyscallError
from runtime.linux import constants as c
from runtime.linux import elf

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

_HEAD: Final = 4096
_LINE: Final = 256
_PT_INTERP: Final = 3
_OWN: Final = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
_NATIVE: Final = elf.native(_OWN)
"""What this processor runs itself: here ENOENT is about a loader, elsewhere about an emulator."""


def explain(kernel: Kernel, path: bytes, errno: int) -> str:
    """The cause of `errno` at executing `path` in words to append to a message, empty where the errno says it all."""
    if errno not in {ENOENT, ENOEXEC}:
        return ""
    head = _head(kernel, path)
    if head is None:
        return ""
    return _why_not_found(kernel, head) if errno == ENOENT else _why_no_program(kernel, head)


def is_bare_script(kernel: Kernel, path: bytes, errno: int) -> bool:
    """Whether it was no program for being a text without a first line that names its interpreter."""
    head = _head(kernel, path) if errno == ENOEXEC else None
    return head is not None and head != b"" and _is_text(head) and not _is_script(head)


def _head(kernel: Kernel, path: bytes) -> bytes | None:
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        fd = kernel.openat2(c.AT_FDCWD, path, flags, resolve=c.RESOLVE_NO_MAGICLINKS)
    except SyscallError:
        return None
    try:
        return os.pread(fd, _HEAD, 0) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _why_not_found(kernel: Kernel, head: bytes) -> str:
    if _is_script(head):
        line = head[2:_LINE].split(b"\n")[0]
        words = line.split()
        if line.endswith(b"\r"):
            return ": its first line ends in a carriage return, save it with LF line ends"
        if not words:
            return ": its first line names no program"
        interpreter = _head(kernel, words[0])
        if interpreter is None:
            return f": its interpreter {_shown(words[0])} is not in the image"
        return _of_interpreter(words[0], "" if _is_script(interpreter) else _why_not_found(kernel, interpreter))
    machine = elf.architecture_of(head)
    if machine and machine not in _NATIVE:
        return (
            f": it is made for {machine}, and the emulator for that is not in the image: register it in binfmt_misc "
            "with the flag F, as qemu-user-static does"
        )
    loader = _loader(head)
    return f": its dynamic loader {_shown(loader)} is not in the image" if loader else ""


def _why_no_program(kernel: Kernel, head: bytes) -> str:
    if not head:
        return ": the file is empty"
    if _is_script(head):
        words = head[2:_LINE].split(b"\n")[0].split()
        interpreter = _head(kernel, words[0]) if words else None
        if interpreter is None or _is_script(interpreter):
            return ""
        return _of_interpreter(words[0], _why_no_program(kernel, interpreter))
    machine = elf.architecture_of(head)
    if not machine:
        return ': a script needs a first line like "#!/bin/sh"' if _is_text(head) else ""
    if machine == _OWN:
        return ""
    return f": it is made for {machine}, this machine is {_OWN} and has no emulator for it (install qemu-user-static)"


def _of_interpreter(path: bytes, reason: str) -> str:
    return f": its interpreter {_shown(path)}{reason}" if reason else ""


def _is_script(head: bytes) -> bool:
    return head.startswith(b"#!")


def _is_text(head: bytes) -> bool:
    """Whether a shell may be given it: no binary, in whatever encoding."""
    return b"\0" not in head and not head.startswith(b"\x7fELF")


def _loader(head: bytes) -> bytes:
    """The interpreter that a 64-bit ELF file asks for."""
    if not head.startswith(b"\x7fELF\x02"):
        return b""
    order = _order(head)

    def number(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], order)

    table, size, count = number(32, 8), number(54, 2), number(56, 2)
    for at in range(table, min(table + size * count, len(head) - 40), max(size, 1)):
        if number(at, 4) == _PT_INTERP:
            start = number(at + 8, 8)
            return head[start : start + number(at + 32, 8)].rstrip(b"\0")
    return b""


def _order(head: bytes) -> Literal["big", "little"]:
    return "big" if head[5:6] == b"\2" else "little"


def _shown(path: bytes) -> str:
    return ascii(path.decode(errors="backslashreplace"))[1:-1]
