"""OCI device rules as an eBPF program for cgroup v2.

Pure: rules in, instruction bytes out. The kernel runs the program on each open and mknod; 1 allows, 0 denies. The last
rule that matches decides, so rules are tested from the last to the first.
"""

from __future__ import annotations

import struct
from typing import Any

# struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }, access_type = (access << 16) | type
_ACCESS = {"m": 1, "r": 2, "w": 4}
_TYPE = {"b": 1, "c": 2}
_ALL_ACCESS = 7

_LDX_W = 0x61
_ALU_AND_K = 0x54
_ALU_RSH_K = 0x74
_ALU_MOV_X = 0xBC
_ALU64_MOV_K = 0xB7
_JMP_JEQ_K = 0x15
_JMP_JNE_K = 0x55
_JMP_JNE_X = 0x5D
_EXIT = 0x95

_R0, _R1, _R2, _R3, _R4, _R5 = range(6)


def program(rules: list[dict[str, Any]]) -> bytes:
    """Instructions (8 bytes each) that enforce `rules`; what no rule matches is denied."""
    out = [
        _insn(_LDX_W, _R2, _R1, 0, 0),
        _insn(_ALU_AND_K, _R2, 0, 0, 0xFFFF),  # r2 = device type
        _insn(_LDX_W, _R3, _R1, 0, 0),
        _insn(_ALU_RSH_K, _R3, 0, 0, 16),  # r3 = requested access
        _insn(_LDX_W, _R4, _R1, 4, 0),  # r4 = major
        _insn(_LDX_W, _R5, _R1, 8, 0),  # r5 = minor
    ]
    for rule in reversed(_effective(rules)):
        out += _block(rule)
        if _matches_all(rule):
            return b"".join(out)
    out += _verdict(allow=False)
    return b"".join(out)


def _effective(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules after the last one that matches everything: those before it can never decide."""
    start = max((index for index, rule in enumerate(rules) if _matches_all(rule)), default=0)
    return rules[start:]


def _matches_all(rule: dict[str, Any]) -> bool:
    return (
        (rule.get("type") or "a") == "a"
        and not _given(rule.get("major"))
        and not _given(rule.get("minor"))
        and _access(rule) == _ALL_ACCESS
    )


def _block(rule: dict[str, Any]) -> list[bytes]:
    """Tests that jump behind the block when the rule does not match, then the verdict."""
    tests: list[tuple[int, int, int, int]] = []  # opcode, dst, src, imm of the jumps
    prelude: list[bytes] = []
    kind = rule.get("type") or "a"
    if kind in _TYPE:
        tests.append((_JMP_JNE_K, _R2, 0, _TYPE[kind]))
    access = _access(rule)
    if access != _ALL_ACCESS:
        # An allow rule must cover all that is asked for; a deny rule strikes when any of it is asked for.
        prelude = [_insn(_ALU_MOV_X, _R1, _R3, 0, 0), _insn(_ALU_AND_K, _R1, 0, 0, access)]
        tests.append((_JMP_JNE_X, _R1, _R3, 0) if rule.get("allow") else (_JMP_JEQ_K, _R1, 0, 0))
    if _given(rule.get("major")):
        tests.append((_JMP_JNE_K, _R4, 0, int(rule["major"])))
    if _given(rule.get("minor")):
        tests.append((_JMP_JNE_K, _R5, 0, int(rule["minor"])))
    verdict = _verdict(allow=bool(rule.get("allow")))
    out: list[bytes] = []
    for index, (opcode, dst, src, imm) in enumerate(tests):
        if dst == _R1:
            out += prelude
        left = len(tests) - index - 1
        behind = left + len(verdict)
        if any(test[1] == _R1 for test in tests[index + 1 :]):
            behind += len(prelude)
        out.append(_insn(opcode, dst, src, behind, imm))
    return out + verdict


def _verdict(*, allow: bool) -> list[bytes]:
    return [_insn(_ALU64_MOV_K, _R0, 0, 0, int(allow)), _insn(_EXIT, 0, 0, 0, 0)]


def _access(rule: dict[str, Any]) -> int:
    return sum(_ACCESS[letter] for letter in set(rule.get("access") or "rwm"))


def _given(number: Any) -> bool:
    return number is not None and number >= 0


def _insn(opcode: int, dst: int, src: int, offset: int, imm: int) -> bytes:
    return struct.pack("<BBhi", opcode, (src << 4) | dst, offset, imm)
