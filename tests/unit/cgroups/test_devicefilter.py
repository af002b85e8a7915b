"""The device program decides as the rules say: run by a small interpreter of the instructions it uses."""

from __future__ import annotations

import struct

import pytest

from runtime.cgroups import devicefilter

READ, WRITE, MKNOD = 2, 4, 1
BLOCK, CHAR = 1, 2

DEFAULT = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
    {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
    {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"},
]


def run(program, kind, access, major, minor):
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers = [0] * 11
    code = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    at = 0
    while True:
        opcode, both, offset, imm = code[at]
        dst, src = both & 15, both >> 4
        at += 1
        if opcode == 0x61:
            registers[dst] = context[offset]
        elif opcode == 0x54:
            registers[dst] &= imm
        elif opcode == 0x74:
            registers[dst] >>= imm
        elif opcode == 0xBC:
            registers[dst] = registers[src]
        elif opcode == 0xB7:
            registers[dst] = imm
        elif opcode == 0x15:
            at += offset if registers[dst] == imm else 0
        elif opcode == 0x55:
            at += offset if registers[dst] != imm else 0
        elif opcode == 0x5D:
            at += offset if registers[dst] != registers[src] else 0
        elif opcode == 0x95:
            return bool(registers[0])
        else:
            raise AssertionError(hex(opcode))


@pytest.mark.parametrize(
    ("device", "allowed"),
    [
        ((CHAR, READ | WRITE, 1, 3), True),
        ((CHAR, READ, 1, 1), False),
        ((CHAR, MKNOD, 1, 1), True),
        ((CHAR, MKNOD | READ, 1, 1), False),
        ((BLOCK, MKNOD, 254, 0), True),
        ((BLOCK, READ, 254, 0), False),
        ((CHAR, WRITE, 136, 7), True),
        ((CHAR, MKNOD, 10, 229), False),
        ((BLOCK, READ, 8, 0), True),
        ((BLOCK, READ | WRITE, 8, 0), False),
    ],
)
def test_the_last_rule_that_matches_decides(device, allowed):
    assert run(devicefilter.program(DEFAULT), *device) is allowed


def test_without_rules_everything_is_denied():
    assert run(devicefilter.program([]), CHAR, READ, 1, 3) is False


def test_an_allow_all_at_the_end_makes_a_program_of_one_verdict():
    program = devicefilter.program([*DEFAULT, {"allow": True, "type": "a", "access": "rwm"}])
    assert run(program, BLOCK, READ | WRITE | MKNOD, 99, 99) is True
    assert len(program) // 8 == 8


def test_a_deny_rule_strikes_when_any_of_its_accesses_is_asked_for():
    rules = [{"allow": True, "access": "rwm"}, {"allow": False, "type": "c", "major": 5, "access": "w"}]
    program = devicefilter.program(rules)
    assert run(program, CHAR, READ, 5, 0) is True
    assert run(program, CHAR, READ | WRITE, 5, 0) is False
