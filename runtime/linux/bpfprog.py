"""Load an eBPF device program and attach it to a v2 cgroup.

The cgroup keeps the attached program; closing our descriptor of it changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import struct

from runtime.errors import NotSupported, SyscallError

_NR = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
_PROG_LOAD, _PROG_ATTACH = 5, 8
_PROG_TYPE_CGROUP_DEVICE = 15
_ATTACH_CGROUP_DEVICE = 6
_F_ALLOW_MULTI = 2

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_long]


def attach_device(cgroup_fd: int, program: bytes) -> None:
    """Enforce `program` (8 bytes an instruction) in the cgroup. Raises SyscallError, NotSupported."""
    instructions = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "=IIQQIIQII",
        *(_PROG_TYPE_CGROUP_DEVICE, len(program) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0),  # no verifier log
    )
    fd = _bpf(_PROG_LOAD, load)
    try:
        _bpf(_PROG_ATTACH, struct.pack("=IIII", cgroup_fd, fd, _ATTACH_CGROUP_DEVICE, _F_ALLOW_MULTI))
    finally:
        os.close(fd)


def _bpf(command: int, attributes: bytes) -> int:
    if _NR is None:
        raise NotSupported(f"bpf: machine {os.uname().machine} is not known")
    result: int = _syscall(_NR, command, attributes, len(attributes))
    if result < 0:
        raise SyscallError("bpf", ctypes.get_errno())
    return result
