"""libseccomp as the oracle for our filter compiler, where the machine has it."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import tempfile
from typing import Any

_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_OPERATORS = {f"SCMP_CMP_{name}": 1 + index for index, name in enumerate("NE LT LE EQ GE GT MASKED_EQ".split())}
_FLTATR_ACT_BADARCH = 2
_KILL_PROCESS = 0x80000000


class _Condition(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def load() -> Any:
    """The library, or None."""
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Condition)),
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    return library


def number(library: Any, name: str, arch: int = 0) -> int:
    """The number libseccomp has for a call; negative if it knows none."""
    if not arch:
        return int(library.seccomp_syscall_resolve_name(name.encode()))
    return int(library.seccomp_syscall_resolve_name_arch(arch, name.encode()))


def compile(library: Any, profile: dict[str, Any]) -> bytes:
    """The program libseccomp makes of rules without conditions on machine or capabilities, for the native ABI."""
    default = _value(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = library.seccomp_init(default)
    library.seccomp_attr_set(context, _FLTATR_ACT_BADARCH, _KILL_PROCESS)
    for rule in profile["syscalls"]:
        action = _value(rule["action"], rule.get("errnoRet"))
        conditions = [
            _Condition(arg["index"], _OPERATORS[arg["op"]], arg["value"], arg.get("valueTwo", 0))
            for arg in rule.get("args") or ()
        ]
        array = (_Condition * max(1, len(conditions)))(*conditions)
        for name in rule["names"]:
            found = number(library, name)
            if found < 0 or action == default:
                continue
            result = library.seccomp_rule_add_array(context, action, found, len(conditions), array)
            assert result == 0, (name, result)
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        library.seccomp_release(context)
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0)


def _value(action: str, errno: int | None) -> int:
    base = _ACTIONS[action]
    return base | (1 if errno is None else errno) if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else base
