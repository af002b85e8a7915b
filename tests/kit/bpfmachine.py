"""A machine for seccomp filters: runs a classic BPF program on one call, as the kernel does."""

from __future__ import annotations

import struct

_COMPARE = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: bool(a & k),
}


def run(program: bytes, number: int, args: tuple[int, ...] = (), arch: int = 0xC000003E) -> int:
    """The filter's return value for call `number`; running off the program or an odd instruction raises."""
    return trace(program, number, args, arch)[0]


def trace(program: bytes, number: int, args: tuple[int, ...] = (), arch: int = 0xC000003E) -> tuple[int, int]:
    """The filter's return value and how many instructions it took."""
    padded = [arg & (2**64 - 1) for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = count = 0
    while True:
        code, jump_true, jump_false, k = instructions[position]
        position += 1
        count += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, k)[0]
        elif code == 0x54:
            accumulator &= k
        elif code == 0x05:
            position += k
        elif code in _COMPARE:
            position += jump_true if _COMPARE[code](accumulator, k) else jump_false
        elif code == 0x06:
            return k, count
        else:
            raise AssertionError(f"instruction {position - 1}: code {code:#x}")
