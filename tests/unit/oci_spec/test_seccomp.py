"""Seccomp profiles compiled to BPF: decisions by call, compared with what the facts and libseccomp say."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from runtime.errors import InvalidParameter, NotSupported
from runtime.oci import bpf, seccomp
from runtime.oci.capabilities import DEFAULT
from runtime.oci.seccomp_profile import ALWAYS, BY_CAPABILITY, default_profile
from runtime.oci.syscalltable import numbers
from tests.kit import bpfmachine, libseccomp

X86 = numbers("x86_64")
CAPS = frozenset(DEFAULT)
EPERM, ENOSYS = seccomp.ERRNO | 1, seccomp.ERRNO | 38
AUDIT_X86_64, AUDIT_I386, AUDIT_AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
KERNEL = (6, 1)
ORACLE = libseccomp.load() if os.uname().machine == "x86_64" else None
DEFAULT_PROGRAM = seccomp.compile(default_profile(), CAPS, "x86_64", kernel=KERNEL)


def decide(name: str, *args: int, caps: frozenset[str] = CAPS, arch: str = "x86_64") -> int:
    program = seccomp.compile(default_profile(), caps, arch, kernel=KERNEL)
    return bpfmachine.run(program, numbers(arch)[name], args, seccomp.ARCHES[arch].audit)


def one_rule(action: str, *args: dict[str, Any], **rest: Any) -> dict[str, Any]:
    rule = {"names": ["dup"], "action": action, "args": list(args), **rest}
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}


def condition(op: str, value: int, second: int = 0, index: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{op}"}


# --- the default profile ---------------------------------------------------------------------------------------------

BLOCKED = """
    mount umount2 pivot_root unshare setns bpf perf_event_open keyctl add_key request_key kexec_load kexec_file_load
    init_module finit_module delete_module reboot swapon swapoff settimeofday clock_settime userfaultfd
    open_by_handle_at move_mount fsopen fsconfig fsmount fspick open_tree mount_setattr io_uring_setup io_uring_enter
    io_uring_register acct iopl ioperm syslog quotactl lookup_dcookie kcmp process_madvise pidfd_getfd vhangup
    sethostname setdomainname mbind set_mempolicy get_mempolicy migrate_pages move_pages fanotify_init nfsservctl
    _sysctl create_module query_module get_kernel_syms uselib ustat sysfs vserver
"""


@pytest.mark.parametrize("name", BLOCKED.split())
def test_call_is_forbidden_by_default(name: str) -> None:
    assert bpfmachine.run(DEFAULT_PROGRAM, X86[name]) == EPERM


@pytest.mark.parametrize(
    "name",
    ["read", "execve", "chroot", "ptrace", "mknod", "arch_prctl", "futex_wait", "mseal", "uretprobe", "modify_ldt"],
)
def test_call_is_allowed_by_default(name: str) -> None:
    assert bpfmachine.run(DEFAULT_PROGRAM, X86[name]) == seccomp.ALLOW


def test_no_more_is_allowed_than_in_docker_29() -> None:
    headers = [number for name, number in X86.items() if number <= 450 and name not in ("uretprobe", "uprobe")]
    assert len(headers) == 362
    allowed = [number for number in headers if bpfmachine.run(DEFAULT_PROGRAM, number, (1,)) == seccomp.ALLOW]
    # Three of them are filtered by their first argument: clone and socket are allowed with 1, personality is not.
    assert len(allowed) == 294
    assert X86["personality"] not in allowed


def test_every_name_of_the_profile_exists_on_some_architecture() -> None:
    known = set().union(*(numbers(arch) for arch in ("x86_64", "aarch64", "i386", "arm")))
    listed = " ".join([*ALWAYS, *BY_CAPABILITY.values()]).split()
    assert not [name for name in listed if name not in known]
    always = " ".join(ALWAYS).split()
    assert len(always) == len(set(always))


def test_clone3_looks_absent_so_that_the_c_library_falls_back() -> None:
    assert decide("clone3") == ENOSYS
    assert decide("clone3", caps=CAPS | {"CAP_SYS_ADMIN"}) == seccomp.ALLOW


def test_call_younger_than_the_profile_looks_absent() -> None:
    assert bpfmachine.run(DEFAULT_PROGRAM, X86["removexattrat"]) == seccomp.ALLOW
    assert bpfmachine.run(DEFAULT_PROGRAM, X86["file_setattr"]) == ENOSYS
    assert bpfmachine.run(DEFAULT_PROGRAM, 5000) == ENOSYS
    assert bpfmachine.run(DEFAULT_PROGRAM, X86["lsm_list_modules"]) == EPERM


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (17, seccomp.ALLOW),
        (0x3D0F00, seccomp.ALLOW),
        (0x00020000, EPERM),
        (0x02000000, EPERM),
        (0x04000000, EPERM),
        (0x08000000, EPERM),
        (0x10000000, EPERM),
        (0x20000000, EPERM),
        (0x40000000, EPERM),
        (0xFFFFFFFF00000011, seccomp.ALLOW),
    ],
)
def test_clone_makes_processes_but_no_namespaces(flags: int, expected: int) -> None:
    assert decide("clone", flags) == expected
    assert decide("clone", flags, caps=CAPS | {"CAP_SYS_ADMIN"}) == seccomp.ALLOW


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        *((family, seccomp.ALLOW) for family in (0, 1, 2, 10, 11, 16, 17, 29, 36, 39, 41, 44)),
        *((family, EPERM) for family in (38, 40, 12, 19, 37, 46, 255)),
        *((2**32 + family, EPERM) for family in (38, 40)),
        *((family - 2**32 & 2**64 - 1, EPERM) for family in (38, 40)),
    ],
)
def test_socket_families(family: int, expected: int) -> None:
    assert decide("socket", family) == expected


@pytest.mark.parametrize(
    ("persona", "expected"),
    [
        *((persona, seccomp.ALLOW) for persona in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)),
        *((persona, EPERM) for persona in (1, 0x40000, 0x400000, 0xFFFFFFFFFFFFFFFF, 2**32)),
    ],
)
def test_personalities(persona: int, expected: int) -> None:
    assert decide("personality", persona) == expected


@pytest.mark.parametrize(
    ("cap", "names"), [(cap, [name for name in names.split() if name in X86]) for cap, names in BY_CAPABILITY.items()]
)
def test_capability_opens_its_calls(cap: str, names: list[str]) -> None:
    program = seccomp.compile(default_profile(), CAPS | {cap}, "x86_64", kernel=KERNEL)
    assert {bpfmachine.run(program, X86[name]) for name in names} == {seccomp.ALLOW}


def test_chroot_goes_with_its_capability() -> None:
    assert decide("chroot", caps=CAPS - {"CAP_SYS_CHROOT"}) == EPERM


def test_ptrace_needs_a_kernel_that_checks_after_the_tracer() -> None:
    old = seccomp.compile(default_profile(), CAPS, "x86_64", kernel=(4, 7))
    assert bpfmachine.run(old, X86["ptrace"]) == EPERM
    assert decide("ptrace") == seccomp.ALLOW


def test_io_uring_stays_shut_with_every_capability() -> None:
    everything = frozenset({*DEFAULT, *BY_CAPABILITY, "CAP_NET_ADMIN"})
    assert decide("io_uring_setup", caps=everything) == EPERM


def test_foreign_calls_end_the_process() -> None:
    assert bpfmachine.run(DEFAULT_PROGRAM, 20, arch=AUDIT_I386) == seccomp.KILL_PROCESS
    assert bpfmachine.run(DEFAULT_PROGRAM, 20, arch=AUDIT_AARCH64) == seccomp.KILL_PROCESS
    assert bpfmachine.run(DEFAULT_PROGRAM, 0x40000000) == seccomp.KILL_PROCESS
    assert bpfmachine.run(DEFAULT_PROGRAM, 0x40000000 | X86["getpid"]) == seccomp.KILL_PROCESS
    assert bpfmachine.run(DEFAULT_PROGRAM, 0xFFFFFFFE) == seccomp.KILL_PROCESS


def test_a_call_that_a_tracer_skips_is_no_foreign_one() -> None:
    assert bpfmachine.run(DEFAULT_PROGRAM, 0xFFFFFFFF) == EPERM


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_32_bit_calls_are_let_in_on_request_under_the_same_rules(arch: str) -> None:
    sibling = seccomp.ARCHES[seccomp.ARCHES[arch].compat]
    program = seccomp.compile(default_profile(), CAPS, arch, kernel=KERNEL, compat=True)
    table = numbers(sibling.table)
    for name, expected in (("read", seccomp.ALLOW), ("mmap2", seccomp.ALLOW), ("mount", EPERM), ("socketcall", EPERM)):
        if name in table:
            assert bpfmachine.run(program, table[name], arch=sibling.audit) == expected
    assert bpfmachine.run(program, table["socket"], (38,), sibling.audit) == EPERM
    assert bpfmachine.run(program, table["socket"], (2,), sibling.audit) == seccomp.ALLOW
    native = numbers(arch)
    assert bpfmachine.run(program, native["mount"], arch=seccomp.ARCHES[arch].audit) == EPERM
    assert bpfmachine.run(program, native["read"], arch=seccomp.ARCHES[arch].audit) == seccomp.ALLOW


@pytest.mark.parametrize(
    ("listing", "compat"),
    [
        ({}, False),
        ({"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]}, True),
        ({"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]}, False),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]}, True),
        ({"archMap": [{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_X86"]}]}, False),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": None}]}, False),
    ],
)
def test_profile_that_lists_the_32_bit_abi_lets_it_in(listing: dict[str, Any], compat: bool) -> None:
    program = seccomp.compile({**one_rule("SCMP_ACT_ALLOW"), **listing}, CAPS, "x86_64")
    found = bpfmachine.run(program, numbers("i386")["dup"], arch=AUDIT_I386)
    assert found == (seccomp.ALLOW if compat else seccomp.KILL_PROCESS)


def test_aarch64_has_its_own_numbers() -> None:
    assert decide("openat", arch="aarch64") == seccomp.ALLOW
    assert decide("mount", arch="aarch64") == EPERM
    assert decide("clone", 0x10000000, arch="aarch64") == EPERM


def test_a_decision_takes_few_steps() -> None:
    plain = [name for name in X86 if name not in ("socket", "personality")]
    assert max(bpfmachine.trace(DEFAULT_PROGRAM, X86[name])[1] for name in plain) <= 14
    assert len(DEFAULT_PROGRAM) // 8 < 400


def test_program_is_made_once_per_set_of_capabilities() -> None:
    assert seccomp.default_program(CAPS) is seccomp.default_program(frozenset(CAPS))


# --- conditions ------------------------------------------------------------------------------------------------------

BOUNDS = (0, 1, 5, 0xFFFFFFFF, 0x100000000, 0x100000005, 0x7FFFFFFF00000005, 2**64 - 1)
HOLDS = {
    "NE": lambda arg, value: arg != value,
    "LT": lambda arg, value: arg < value,
    "LE": lambda arg, value: arg <= value,
    "EQ": lambda arg, value: arg == value,
    "GE": lambda arg, value: arg >= value,
    "GT": lambda arg, value: arg > value,
}


@pytest.mark.parametrize("op", HOLDS)
@pytest.mark.parametrize("value", BOUNDS)
def test_comparison_sees_all_64_bits(op: str, value: int) -> None:
    program = seccomp.compile(one_rule("SCMP_ACT_ALLOW", condition(op, value)), CAPS, "x86_64")
    around = {(bound + step) % 2**64 for bound in BOUNDS for step in (-1, 0, 1)}
    for arg in around | {value ^ (1 << 32), value ^ 1}:
        expected = seccomp.ALLOW if HOLDS[op](arg, value) else EPERM
        assert bpfmachine.run(program, X86["dup"], (arg,)) == expected, (op, hex(arg), hex(value))


@pytest.mark.parametrize(
    ("mask", "value"), [(0xFF, 5), (0xFF00000000, 0x500000000), (0xF0000000F, 0x300000003), (0, 0), (1, 2)]
)
def test_masked_comparison(mask: int, value: int) -> None:
    program = seccomp.compile(one_rule("SCMP_ACT_ALLOW", condition("MASKED_EQ", mask, value)), CAPS, "x86_64")
    generator = random.Random(mask)
    for arg in [*BOUNDS, value, value | ~mask & 2**64 - 1, *(generator.getrandbits(64) for _ in range(50))]:
        expected = seccomp.ALLOW if arg & mask == value else EPERM
        assert bpfmachine.run(program, X86["dup"], (arg,)) == expected


def test_conditions_on_several_arguments_must_all_hold() -> None:
    conditions = [condition("EQ", 1, index=0), condition("GT", 5, index=3), condition("NE", 7, index=5)]
    program = seccomp.compile(one_rule("SCMP_ACT_ALLOW", *conditions), CAPS, "x86_64")
    for args, expected in (
        ((1, 0, 0, 6, 0, 0), seccomp.ALLOW),
        ((2, 0, 0, 6, 0, 0), EPERM),
        ((1, 0, 0, 5, 0, 0), EPERM),
        ((1, 0, 0, 6, 0, 7), EPERM),
    ):
        assert bpfmachine.run(program, X86["dup"], args) == expected


def test_conditions_on_one_argument_are_alternatives() -> None:
    program = seccomp.compile(
        one_rule("SCMP_ACT_ALLOW", condition("EQ", 1), condition("EQ", 3), condition("EQ", 9, index=1)), CAPS, "x86_64"
    )
    for args, expected in (((1, 0), seccomp.ALLOW), ((3, 0), seccomp.ALLOW), ((2, 9), seccomp.ALLOW), ((2, 0), EPERM)):
        assert bpfmachine.run(program, X86["dup"], args) == expected


def test_rule_without_conditions_wins_and_else_the_first_that_matches() -> None:
    rules = [
        {"names": ["dup"], "action": "SCMP_ACT_LOG", "args": [condition("GE", 5)]},
        {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [condition("GE", 3)]},
        {"names": ["dup2"], "action": "SCMP_ACT_LOG", "args": [condition("GE", 5)]},
        {"names": ["dup2"], "action": "SCMP_ACT_ALLOW"},
    ]
    program = seccomp.compile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}, CAPS, "x86_64")
    assert [bpfmachine.run(program, X86["dup"], (arg,)) for arg in (6, 4, 2)] == [seccomp.LOG, seccomp.ALLOW, EPERM]
    assert bpfmachine.run(program, X86["dup2"], (6,)) == seccomp.ALLOW


@pytest.mark.parametrize(
    ("action", "errno", "expected"),
    [
        ("SCMP_ACT_KILL", None, seccomp.KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", None, seccomp.KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", None, seccomp.KILL_PROCESS),
        ("SCMP_ACT_TRAP", None, seccomp.TRAP),
        ("SCMP_ACT_ERRNO", None, EPERM),
        ("SCMP_ACT_ERRNO", 13, seccomp.ERRNO | 13),
        ("SCMP_ACT_ERRNO", 0, seccomp.ERRNO),
        ("SCMP_ACT_TRACE", None, seccomp.TRACE | 1),
        ("SCMP_ACT_TRACE", 7, seccomp.TRACE | 7),
        ("SCMP_ACT_LOG", None, seccomp.LOG),
        ("SCMP_ACT_ALLOW", None, seccomp.ALLOW),
    ],
)
def test_actions(action: str, errno: int | None, expected: int) -> None:
    rule = {"names": ["dup"], "action": action, "errnoRet": errno}
    default = "SCMP_ACT_LOG" if action == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW"
    program = seccomp.compile({"defaultAction": default, "syscalls": [rule]}, CAPS, "x86_64")
    assert bpfmachine.run(program, X86["dup"]) == expected


@pytest.mark.parametrize(
    ("default", "errno", "unknown"),
    [
        ("SCMP_ACT_ERRNO", None, ENOSYS),
        ("SCMP_ACT_ERRNO", 38, ENOSYS),
        ("SCMP_ACT_KILL", None, ENOSYS),
        ("SCMP_ACT_ALLOW", None, seccomp.ALLOW),
        ("SCMP_ACT_LOG", None, seccomp.LOG),
        ("SCMP_ACT_TRACE", None, seccomp.TRACE | 1),
    ],
)
def test_only_a_forbidding_profile_hides_younger_calls(default: str, errno: int | None, unknown: int) -> None:
    rules = [{"names": ["dup"], "action": "SCMP_ACT_TRAP"}]
    profile = {"defaultAction": default, "defaultErrnoRet": errno, "syscalls": rules}
    assert bpfmachine.run(seccomp.compile(profile, CAPS, "x86_64"), 5000) == unknown


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["s390x"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"excludes": {"minKernel": "5.10"}}, False),
        ({"includes": None, "excludes": None, "args": None}, True),
    ],
)
def test_rules_apply_by_capability_architecture_and_kernel(rule: dict[str, Any], applies: bool) -> None:
    profile = one_rule("SCMP_ACT_ALLOW", **rule)
    program = seccomp.compile(profile, CAPS, "x86_64", kernel=(6, 1))
    assert bpfmachine.run(program, X86["dup"]) == (seccomp.ALLOW if applies else EPERM)


def test_long_programs_jump_far() -> None:
    rules = [
        {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition("EQ", number, index=number % 6)]}
        for name, number in X86.items()
    ]
    program = seccomp.compile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}, CAPS, "x86_64")
    assert len(program) // 8 > 1000
    for number in X86.values():
        args = [0] * 6
        args[number % 6] = number
        assert bpfmachine.run(program, number, tuple(args)) == seccomp.ALLOW
        args[number % 6] += 1
        assert bpfmachine.run(program, number, tuple(args)) == EPERM


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defaultAction": "SCMP_ACT_NOSUCH"}, "defaultAction: action 'SCMP_ACT_NOSUCH' is not known"),
        ({"defaultAction": None}, "defaultAction: action None is not known"),
        ({"defaultErrnoRet": 5000}, "errno 5000 is not a number in 0-4095"),
        ({"architectures": ["a"], "archMap": [{}]}, "both 'architectures' and 'archMap' are specified"),
        ({"syscalls": {}}, None),
        ({"syscalls": {"a": 1}}, "syscalls must be a list"),
        ({"syscalls": ["a"]}, "an entry of syscalls must be a mapping"),
        ({"syscalls": [{"names": "a", "action": "SCMP_ACT_ALLOW"}]}, "names must be a list"),
        (
            {"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]},
            "both 'name' and 'names' are specified",
        ),
        ({"syscalls": [{"names": ["dup"], "action": "X"}]}, "dup: action 'X' is not known"),
        (
            {"syscalls": [{"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]},
            "index 6",
        ),
        (
            {"syscalls": [{"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"op": "SCMP_CMP_X"}]}]},
            "operator 'SCMP_CMP_X'",
        ),
        (
            {
                "syscalls": [
                    {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "args": [{"op": "SCMP_CMP_EQ", "value": -1}]}
                ]
            },
            "value -1",
        ),
        (
            {"syscalls": [{"names": ["dup"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "x"}}]},
            "minKernel 'x' is not of the form 5.10",
        ),
    ],
)
def test_broken_profile_is_refused(change: dict[str, Any], message: str | None) -> None:
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [], **change}
    if message is None:
        seccomp.compile(profile, CAPS, "x86_64")
        return
    with pytest.raises(InvalidParameter) as caught:
        seccomp.compile(profile, CAPS, "x86_64")
    assert message in caught.value.message


def test_program_beyond_the_kernel_s_limit_is_refused() -> None:
    rules = [
        {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition("EQ", number + value)]}
        for name, number in X86.items()
        for value in range(10)
    ]
    with pytest.raises(InvalidParameter, match="the kernel takes 4096"):
        seccomp.compile({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}, CAPS, "x86_64")


def test_other_machines_are_not_supported() -> None:
    with pytest.raises(NotSupported, match="no system call table for s390x"):
        seccomp.compile(default_profile(), CAPS, "s390x")


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({}, 4),
        ({"flags": []}, 0),
        ({"flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}, 6),
        ({"flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}, 0),
    ],
)
def test_installation_flags(profile: dict[str, Any], expected: int) -> None:
    assert seccomp.flags(profile) == expected


def test_unknown_installation_flag_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="'SECCOMP_FILTER_FLAG_X' is not known"):
        seccomp.flags({"flags": ["SECCOMP_FILTER_FLAG_X"]})


def test_programs_survive_encoding() -> None:
    assert bpf.encode(bpf.decode(DEFAULT_PROGRAM)) == DEFAULT_PROGRAM


# --- libseccomp as the oracle ----------------------------------------------------------------------------------------

needs_oracle = pytest.mark.skipif(ORACLE is None, reason="needs libseccomp.so.2 on x86_64")


@needs_oracle
@pytest.mark.parametrize(
    ("arch", "token"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7), ("i386", 0x40000003), ("arm", 0x40000028)]
)
def test_numbers_are_those_of_libseccomp(arch: str, token: int) -> None:
    for name, number in numbers(arch).items():
        found = libseccomp.number(ORACLE, name, token)
        assert found == number or found < 0, (name, number, found)


def applicable(profile: dict[str, Any], caps: frozenset[str]) -> dict[str, Any]:
    """The profile's rules that apply on this machine, with only the names that libseccomp knows."""
    arch = seccomp.ARCHES["x86_64"]
    rules = []
    for rule in profile["syscalls"]:
        if seccomp._applies(rule, caps, arch, KERNEL):
            names = [name for name in rule["names"] if libseccomp.number(ORACLE, name) >= 0]
            rules.append({**rule, "names": names, "includes": None, "excludes": None})
    return {**profile, "syscalls": rules}


ARGUMENTS = [
    (0,),
    (1,),
    (11,),
    (12,),
    (38,),
    (39,),
    (40,),
    (2**32 + 38,),
    (0x20000,),
    (0x20008,),
    (0xFFFFFFFF,),
    (2**64 - 1,),
    (0x10000000,),
    (0x3D0F00,),
]


@needs_oracle
@pytest.mark.parametrize("more", [set(), {"CAP_SYS_ADMIN"}, {"CAP_SYS_PTRACE", "CAP_BPF"}, set(BY_CAPABILITY)])
def test_default_profile_decides_as_libseccomp(more: set[str]) -> None:
    profile = applicable(default_profile(), CAPS | more)
    ours = seccomp.compile(profile, CAPS | more, "x86_64", kernel=KERNEL)
    theirs = libseccomp.compile(ORACLE, profile)
    last = max(libseccomp.number(ORACLE, name) for rule in profile["syscalls"] for name in rule["names"])
    for number in [*range(last + 1), 0x40000000, 0x40000001, 0xFFFFFFFF]:
        for args in ARGUMENTS if number in (X86["clone"], X86["socket"], X86["personality"]) else ARGUMENTS[:1]:
            assert bpfmachine.run(ours, number, args) == bpfmachine.run(theirs, number, args), (number, args)
    for arch in (AUDIT_I386, AUDIT_AARCH64):
        assert bpfmachine.run(ours, 1, arch=arch) == bpfmachine.run(theirs, 1, arch=arch)


@needs_oracle
@pytest.mark.parametrize("seed", range(20))
def test_made_up_profiles_decide_as_libseccomp(seed: int) -> None:
    generator = random.Random(seed)
    interesting = [0, 1, 2, 7, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    rules = []
    for name in generator.sample([name for name, number in X86.items() if number < 330], 40):
        indices = generator.sample(range(6), generator.randint(0, 3))
        args = []
        for index in indices:
            op = generator.choice([*HOLDS, "MASKED_EQ"])
            value = generator.choice(interesting)
            second = generator.choice(interesting) & value if op == "MASKED_EQ" else 0
            args.append(condition(op, value, second, index))
        rules.append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": generator.randint(2, 40), "args": args})
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    ours, theirs = seccomp.compile(profile, CAPS, "x86_64"), libseccomp.compile(ORACLE, profile)
    for number in range(340):
        for _ in range(25 if any(X86[rule["names"][0]] == number for rule in rules) else 1):
            args = tuple(generator.choice(interesting) for _ in range(6))
            assert bpfmachine.run(ours, number, args) == bpfmachine.run(theirs, number, args), (number, args)
