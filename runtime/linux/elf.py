"""ELF headers: which architecture, as images name it, a program is made for.

Numbers are those of elf(5) and the kernel's include/uapi/linux/elf-em.h.
"""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = b"\x7fELF"
_MACHINES: Final = {
    "386": (1, "<", 3),
    "amd64": (2, "<", 62),
    "arm": (1, "<", 40),
    "arm64": (2, "<", 183),
    "loong64": (2, "<", 258),
    "mips": (1, ">", 8),
    "mipsle": (1, "<", 8),
    "mips64": (2, ">", 8),
    "mips64le": (2, "<", 8),
    "ppc64": (2, ">", 21),
    "ppc64le": (2, "<", 21),
    "riscv64": (2, "<", 243),
    "s390x": (2, ">", 22),
}
"""Class (1: 32 bit, 2: 64 bit), byte order and e_machine of an architecture's programs."""
_ALSO: Final = {"amd64": ("386",), "arm64": ("arm",)}
"""What a processor runs besides its own."""


def native(architecture: str) -> tuple[str, ...]:
    """The architectures whose programs a processor of this one runs itself."""
    return (architecture, *_ALSO.get(architecture, ()))


def architecture_of(head: bytes) -> str:
    """What the file that begins with `head` is made for; "another machine" if it has no name here, empty if it is no ELF.

    The machine's number decides where class or byte order are none that it has.
    """
    if not head.startswith(MAGIC):
        return ""
    order = ">" if head[5:6] == b"\2" else "<"
    found = (*head[4:5], order, *struct.unpack_from(f"{order}H", head.ljust(20, b"\0"), 18))
    exact = (name for name, machine in _MACHINES.items() if machine == found)
    akin = (name for name, machine in _MACHINES.items() if machine[-1] == found[-1])
    return next(exact, "") or next(akin, "another machine")


def header(architecture: str) -> bytes:
    """The header of a program without content, by which the kernel knows the architecture; empty if it has no name here."""
    if architecture not in _MACHINES:
        return b""
    bits, order, machine = _MACHINES[architecture]
    address, own, entry = ("I", 52, 32) if bits == 1 else ("Q", 64, 56)
    start = MAGIC + bytes((bits, 1 if order == "<" else 2, 1))
    fields = (2, machine, 1, 0, own, 0, 0, own, entry, 0, 0, 0, 0)
    return start.ljust(16, b"\0") + struct.pack(f"{order}HHI3{address}I6H", *fields)
