"""Classic BPF instructions as seccomp takes them, and blocks of them that can be put one after the other.

A block is a list of instructions that ends in a return on every path. All jumps are relative and forward, so blocks
are joined by concatenation, without labels; a conditional jump reaches 255 instructions, `ja` reaches any distance.
"""

from __future__ import annotations

import struct

LD_ABS = 0x20
"""A = the 32-bit word at offset k of struct seccomp_data."""
AND = 0x54
JA = 0x05
JEQ = 0x15
JGT = 0x25
JGE = 0x35
JSET = 0x45
RET = 0x06

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS of the kernel."""
_REACH = 255

Instruction = tuple[int, int, int, int]
"""`struct sock_filter`: code, jump if true, jump if false, k."""
Block = list[Instruction]

# struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]
OFFSET_NR = 0
OFFSET_ARCH = 4
_OFFSET_ARGS = 16


def arg_offsets(index: int) -> tuple[int, int]:
    """Offsets of the low and the high word of argument `index` (0..5) on a little-endian machine."""
    low = _OFFSET_ARGS + 8 * index
    return low, low + 4


def load(offset: int) -> Instruction:
    """A = word at `offset`."""
    return (LD_ABS, 0, 0, offset)


def returns(value: int) -> Block:
    """The block that ends the filter with `value`."""
    return [(RET, 0, 0, value)]


def branch(test: int, k: int, then: Block, otherwise: Block) -> Block:
    """Run `then` if `A test k` holds, else `otherwise`."""
    if len(otherwise) <= _REACH:
        return [(test, len(otherwise), 0, k), *otherwise, *then]
    return [(test, 0, 1, k), (JA, 0, 0, len(otherwise)), *otherwise, *then]


def encode(program: Block) -> bytes:
    """The program as an array of `struct sock_filter` in the machine's own byte order."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def decode(program: bytes) -> Block:
    """The instructions of an encoded program."""
    return [(code, jt, jf, k) for code, jt, jf, k in struct.iter_unpack("=HBBI", program)]
