"""Whether this machine can run another architecture's programs: by itself, or by an emulator that the kernel knows.

The kernel is asked by executing an ELF header. Its table of emulators may be out of sight, as in a container, and their
names are free.
"""

from __future__ import annotations

import os
import struct
from errno import ENOEXEC
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import NotSupported
from runtime.images import platform as platforms

if TYPE_CHECKING:
    from collections.abc import Mapping

_MACHINES: Final = {
    "386": (1, "<", 3),
    "amd64": (2, "<", 62),
    "arm": (1, "<", 40),
    "arm64": (2, "<", 183),
    "loong64": (2, "<", 258),
    "mips64le": (2, "<", 8),
    "ppc64le": (2, "<", 21),
    "riscv64": (2, "<", 243),
    "s390x": (2, ">", 22),
}
"""Class (1: 32 bit, 2: 64 bit), byte order and e_machine of an architecture's ELF files."""
_NATIVE: Final = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}
"""What a processor runs besides its own."""


def check(document: Mapping[str, Any]) -> None:
    """Raises NotSupported where programs of an image with this configuration cannot be run here."""
    wanted = platforms.of_config(dict(document))
    if wanted is not None and not _runs(wanted.architecture):
        text = "/".join(filter(None, wanted))
        raise NotSupported(
            f"platform {text}: its programs cannot be run on this machine, no emulator for them is registered in "
            "binfmt_misc (install qemu-user-static)",
            platform=text,
        )


def header(architecture: str) -> bytes:
    """An ELF header by which the kernel knows the architecture, of a program without content; empty if it is unknown."""
    if architecture not in _MACHINES:
        return b""
    bits, order, machine = _MACHINES[architecture]
    address, own, entry = ("I", 52, 32) if bits == 1 else ("Q", 64, 56)
    start = b"\x7fELF" + bytes((bits, 1 if order == "<" else 2, 1))
    fields = (2, machine, 1, 0, own, 0, 0, own, entry, 0, 0, 0, 0)
    return start.ljust(16, b"\0") + struct.pack(f"{order}HHI3{address}I6H", *fields)


@lru_cache(maxsize=16)
def _runs(architecture: str) -> bool:
    local = platforms.local().architecture
    if architecture in _NATIVE.get(local, (local,)):
        return True
    program = header(architecture)
    return bool(program) and _refusal(program) != ENOEXEC


def _refusal(program: bytes) -> int:
    """The errno of executing it; 0 when something ran it, if only to find it empty.

    Other errors than ENOEXEC may be different in the container: an emulator without the flag F is looked for in there.
    """
    fd = os.memfd_create("program", os.MFD_CLOEXEC)
    try:
        os.write(fd, program)
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        pid = os.posix_spawn(f"/proc/self/fd/{fd}", ["program"], {}, file_actions=quiet)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(fd)
    os.waitpid(pid, 0)
    return 0
