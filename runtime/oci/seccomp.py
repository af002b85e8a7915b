"""Compile a seccomp profile (the Docker and OCI JSON forms) to the BPF program that the kernel runs on each system call.

The program is a balanced binary tree over call numbers: a decision takes about eight comparisons instead of hundreds,
and the kernel, which runs a filter once for every number when it is installed, installs it in half the time.
Only the native ABI is let through unless `compat` asks for its 32-bit sibling: an i386 or x32 call would otherwise
reach the kernel by numbers that the rules do not speak about.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import InvalidParameter, NotSupported
from runtime.oci import bpf
from runtime.oci.seccomp_profile import default_profile
from runtime.oci.syscalltable import numbers

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

KILL_THREAD = 0x00000000
KILL_PROCESS = 0x80000000
TRAP = 0x00030000
ERRNO = 0x00050000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
_EPERM = 1
_ENOSYS = 38
_MAX_ERRNO = 4095
_MAX_ARGS = 6
_WORD = 0xFFFFFFFF
_DATA = 0xFFFF
"""SECCOMP_RET_DATA: the part of a return value that holds the errno."""

_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
_WITH_DATA = (ERRNO, TRACE)
_PERMISSIVE = (ALLOW, LOG, TRACE)
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # one thread installs its own filter: nothing to synchronise
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
}
DEFAULT_FLAGS = _FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
"""Without it kernels before 5.16 switch off speculation for every filtered process, at a cost of up to a third."""


class Arch(NamedTuple):
    """An ABI: the name in the number table, AUDIT_ARCH_*, the name in profiles' `arches`, and the 32-bit sibling."""

    table: str
    audit: int
    profile_name: str
    token: str
    """Its name in `architectures`."""
    compat: str = ""
    first_foreign: int = 0
    """The number from which calls belong to another ABI that has the same AUDIT_ARCH (x32)."""


ARCHES = {
    "x86_64": Arch("x86_64", 0xC000003E, "amd64", "SCMP_ARCH_X86_64", compat="i386", first_foreign=0x40000000),
    "aarch64": Arch("aarch64", 0xC00000B7, "arm64", "SCMP_ARCH_AARCH64", compat="arm"),
    "i386": Arch("i386", 0x40000003, "x86", "SCMP_ARCH_X86"),
    "arm": Arch("arm", 0x40000028, "arm", "SCMP_ARCH_ARM"),
}


class _Rule(NamedTuple):
    names: list[str]
    action: int
    args: list[dict[str, Any]]


@lru_cache(maxsize=64)
def default_program(caps: frozenset[str]) -> bytes:
    """The default profile's program for a process whose bounding set is `caps` (`CAP_...`), on this machine."""
    return compile(default_profile(), caps)


@lru_cache(maxsize=64)
def custom_program(text: str, caps: frozenset[str]) -> tuple[bytes, int]:
    """Program and installation flags of a profile given as JSON text; InvalidParameter says what is wrong with it."""
    try:
        profile = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"seccomp profile: not valid JSON: {error}") from None
    return compile(_typed(profile, dict, "the profile"), caps), flags(profile)


def flags(profile: dict[str, Any]) -> int:
    """The argument `flags` of seccomp(2) for this profile; DEFAULT_FLAGS where it names none."""
    names = profile.get("flags")
    if names is None:
        return DEFAULT_FLAGS
    result = 0
    for name in _typed(names, list, "flags"):
        if name not in _FLAGS:
            raise InvalidParameter(f"seccomp profile: flag {name!r} is not known")
        result |= _FLAGS[name]
    return result


def compile(
    profile: dict[str, Any],
    caps: AbstractSet[str],
    arch: str = "",
    *,
    kernel: tuple[int, int] | None = None,
    compat: bool | None = None,
) -> bytes:
    """The profile as an array of `struct sock_filter` for a process with bounding set `caps`.

    `arch` is x86_64 or aarch64 (this machine's by default), `kernel` what `minKernel` is compared with (the running
    one by default); `compat` admits the 32-bit ABI under the same rules (by default if the profile lists it). Names that
    the architecture does not have are skipped. Of several rules for a call, an unconditional one wins, else the first
    that matches. Raises InvalidParameter or NotSupported.
    """
    native = ARCHES.get(arch or os.uname().machine)
    if native is None or not native.compat:
        raise NotSupported(f"seccomp: no system call table for {arch or os.uname().machine}")
    _check_profile(profile)
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"), "defaultAction")
    rules = _select(profile, caps, native, kernel or _running_kernel())
    program = bpf.returns(KILL_PROCESS)
    both = _lists_compat(profile, native) if compat is None else compat
    for abi in (native, ARCHES[native.compat]) if both else (native,):
        program = bpf.branch(bpf.JEQ, abi.audit, [bpf.load(bpf.OFFSET_NR), *_abi_block(abi, rules, default)], program)
    program = [bpf.load(bpf.OFFSET_ARCH), *program]
    if len(program) > bpf.MAX_INSTRUCTIONS:
        raise InvalidParameter(f"seccomp profile: {len(program)} instructions, the kernel takes {bpf.MAX_INSTRUCTIONS}")
    return bpf.encode(program)


def _abi_block(abi: Arch, rules: list[_Rule], default: int) -> bpf.Block:
    table = numbers(abi.table)
    always: dict[int, int] = {}
    chains: dict[int, list[_Rule]] = {}
    last = -1
    for rule in rules:
        for name in rule.names:
            number = table.get(name)
            if number is None:
                continue
            last = max(last, number)
            if rule.action == default:
                continue
            if rule.args:
                chains.setdefault(number, []).append(rule)
            else:
                always.setdefault(number, rule.action)
    leaves = {number: _chain(chain, default) for number, chain in chains.items()}
    leaves.update({number: bpf.returns(action) for number, action in always.items()})
    return _tree(_intervals(leaves, abi, default, last))


def _intervals(leaves: dict[int, bpf.Block], abi: Arch, default: int, last: int) -> list[tuple[int, bpf.Block]]:
    """First number and block of each run of numbers that are decided alike, over all of 0..2**32-1."""
    otherwise = bpf.returns(default)
    points = {0: otherwise}
    for number in sorted(leaves):
        points[number] = leaves[number]
        points.setdefault(number + 1, otherwise)
    if last >= 0 and default != ERRNO | _ENOSYS and default & ~_DATA not in _PERMISSIVE:
        # A call younger than the profile must look absent, not forbidden: then the C library takes the older way.
        points[last + 1] = bpf.returns(ERRNO | _ENOSYS)
    if abi.first_foreign:
        points[abi.first_foreign] = bpf.returns(KILL_PROCESS)
    points[_WORD] = otherwise  # -1 is what a tracer writes to skip a call
    merged: list[tuple[int, bpf.Block]] = []
    for number in sorted(points):
        if not merged or merged[-1][1] != points[number]:
            merged.append((number, points[number]))
    return merged


def _tree(intervals: list[tuple[int, bpf.Block]]) -> bpf.Block:
    if len(intervals) == 1:
        return intervals[0][1]
    middle = len(intervals) // 2
    return bpf.branch(bpf.JGE, intervals[middle][0], _tree(intervals[middle:]), _tree(intervals[:middle]))


def _chain(rules: list[_Rule], default: int) -> bpf.Block:
    block: bpf.Block = []
    for rule in rules:
        indices = [condition["index"] for condition in rule.args]
        if len(set(indices)) == len(indices):
            block += _all(rule.args, rule.action)
            continue
        for condition in rule.args:
            # As runc: several conditions on one argument are alternatives.
            block += _all([condition], rule.action)
    return block + bpf.returns(default)


def _all(conditions: list[dict[str, Any]], action: int) -> bpf.Block:
    """Return `action` if all conditions hold, else run on after this block."""
    block = bpf.returns(action)
    for condition in reversed(conditions):
        block = _test(condition, len(block)) + block
    return block


def _test(condition: dict[str, Any], tail: int) -> bpf.Block:
    """Fall through if the condition holds, else jump over `tail` more instructions.

    Arguments have 64 bits, the machine 32: the high half is compared first. Each row of the table is what to do with
    (high half greater, high half different, test of the low half, its outcome that means yes).
    """
    low, high = bpf.arg_offsets(condition["index"])
    value, op = condition["value"], condition["op"]
    if op == "SCMP_CMP_MASKED_EQ":
        return _masked_test(low, high, value, condition["valueTwo"], tail)
    greater, different, test, wanted = _COMPARISONS[op]
    block: bpf.Block = [(test, 0, tail, value & _WORD) if wanted else (test, tail, 0, value & _WORD)]
    block = [bpf.load(low), *block]
    yes, no = len(block), len(block) + tail
    block = [(bpf.JEQ, 0, yes if different else no, value >> 32), *block]
    if greater is not None:
        block = [(bpf.JGT, (yes if greater else no) + 1, 0, value >> 32), *block]
    return [bpf.load(high), *block]


_COMPARISONS: dict[str, tuple[bool | None, bool, int, bool]] = {
    "SCMP_CMP_EQ": (None, False, bpf.JEQ, True),
    "SCMP_CMP_NE": (None, True, bpf.JEQ, False),
    "SCMP_CMP_GT": (True, False, bpf.JGT, True),
    "SCMP_CMP_GE": (True, False, bpf.JGE, True),
    "SCMP_CMP_LT": (False, True, bpf.JGE, False),
    "SCMP_CMP_LE": (False, True, bpf.JGT, False),
}


def _masked_test(low: int, high: int, mask: int, value: int, tail: int) -> bpf.Block:
    block: bpf.Block = []
    for offset, shift in ((low, 0), (high, 32)):
        part, wanted = mask >> shift & _WORD, value >> shift & _WORD
        if part or wanted:
            no = len(block) + tail
            block = [bpf.load(offset), (bpf.AND, 0, 0, part), (bpf.JEQ, 0, no, wanted), *block]
    return block


def _check_profile(profile: dict[str, Any]) -> None:
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidParameter(
            "seccomp profile: both 'architectures' and 'archMap' are specified, use either 'architectures' or 'archMap'"
        )
    if profile.get("listenerPath"):
        raise NotSupported("seccomp profile: listenerPath is not supported")


def _lists_compat(profile: dict[str, Any], native: Arch) -> bool:
    listed = list(_typed(profile.get("architectures") or [], list, "architectures"))
    for entry in _typed(profile.get("archMap") or [], list, "archMap"):
        if _typed(entry, dict, "an entry of archMap").get("architecture") == native.token:
            listed += entry.get("subArchitectures") or ()
    return ARCHES[native.compat].token in listed


def _select(profile: dict[str, Any], caps: AbstractSet[str], arch: Arch, kernel: tuple[int, int]) -> list[_Rule]:
    rules = []
    for entry in _typed(profile.get("syscalls") or [], list, "syscalls"):
        call = _typed(entry, dict, "an entry of syscalls")
        names = _typed(call.get("names") or [], list, "names")
        if call.get("name"):
            if names:
                raise InvalidParameter(
                    "seccomp profile: both 'name' and 'names' are specified, use either 'name' or 'names'"
                )
            names = [call["name"]]
        label = str(names[0]) if names else "an entry without names"
        action = _action(call.get("action"), call.get("errnoRet"), label)
        args = [_condition(arg, label) for arg in _typed(call.get("args") or [], list, "args")]
        if _applies(call, caps, arch, kernel):
            rules.append(_Rule(names, action, args))
    return rules


def _applies(call: dict[str, Any], caps: AbstractSet[str], arch: Arch, kernel: tuple[int, int]) -> bool:
    include = _typed(call.get("includes") or {}, dict, "includes")
    exclude = _typed(call.get("excludes") or {}, dict, "excludes")
    if arch.profile_name in (exclude.get("arches") or ()) or any(cap in caps for cap in exclude.get("caps") or ()):
        return False
    if exclude.get("minKernel") and kernel >= _version(exclude["minKernel"]):
        return False
    if include.get("arches") and arch.profile_name not in include["arches"]:
        return False
    if not all(cap in caps for cap in include.get("caps") or ()):
        return False
    return not include.get("minKernel") or kernel >= _version(include["minKernel"])


def _condition(arg: Any, label: str) -> dict[str, Any]:
    condition = {"index": 0, "value": 0, "valueTwo": 0, "op": "", **_typed(arg, dict, f"an argument of {label}")}
    if condition["op"] not in _COMPARISONS and condition["op"] != "SCMP_CMP_MASKED_EQ":
        raise InvalidParameter(f"seccomp profile: {label}: operator {condition['op']!r} is not known")
    limits = {"index": _MAX_ARGS, "value": 1 << 64, "valueTwo": 1 << 64}
    for key, limit in limits.items():
        number = condition[key]
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < limit:
            raise InvalidParameter(f"seccomp profile: {label}: {key} {number!r} is not a number below {limit}")
    return condition


def _action(name: Any, errno: Any, label: str) -> int:
    if name == "SCMP_ACT_NOTIFY":
        raise NotSupported(f"seccomp profile: {label}: SCMP_ACT_NOTIFY is not supported")
    if not isinstance(name, str) or name not in _ACTIONS:
        raise InvalidParameter(f"seccomp profile: {label}: action {name!r} is not known")
    action = _ACTIONS[name]
    if action not in _WITH_DATA:
        return action
    if errno is None:
        return action | _EPERM
    if not isinstance(errno, int) or not 0 <= errno <= _MAX_ERRNO:
        raise InvalidParameter(f"seccomp profile: {label}: errno {errno!r} is not a number in 0-{_MAX_ERRNO}")
    return action | errno


def _typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidParameter(f"seccomp profile: {what} must be a {'list' if kind is list else 'mapping'}")
    return value


def _version(text: Any) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise InvalidParameter(f"seccomp profile: minKernel {text!r} is not of the form 5.10")
    return int(major), int(minor)


def _running_kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(char for char in minor if char.isdigit()) or 0)
