"""The default filter, installed for real: what the kernel answers to a process that has it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import time
from typing import TYPE_CHECKING

import pytest

from runtime.linux.syscalls import KERNEL
from runtime.oci import seccomp
from runtime.oci.capabilities import DEFAULT
from runtime.oci.syscalltable import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no system call table"),
]

TABLE = numbers(platform.machine()) if platform.machine() in ("x86_64", "aarch64") else {}
LIBC = ctypes.CDLL(None, use_errno=True)
PROGRAM = seccomp.default_program(frozenset(DEFAULT))


def filtered(action: Callable[[], object], program: bytes = PROGRAM) -> object:
    """The action's JSON-able result in a child that runs under the filter; a signal that ends it is its negative number."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            KERNEL.seccomp_set_filter(program, seccomp.DEFAULT_FLAGS)
            os.write(write_end, json.dumps(action()).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else json.loads(text)


def call(name: str, *args: int) -> int:
    """0, or the errno of the call."""
    padded = [ctypes.c_long(arg) for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    return 0 if LIBC.syscall(ctypes.c_long(TABLE[name]), *padded) >= 0 else ctypes.get_errno()


FORBIDDEN = """
    mount umount2 pivot_root unshare setns bpf perf_event_open keyctl add_key request_key kexec_load init_module
    finit_module reboot swapon settimeofday userfaultfd open_by_handle_at move_mount fsopen fsconfig fsmount open_tree
    mount_setattr io_uring_setup
"""


def test_dangerous_calls_are_not_permitted() -> None:
    # Bad descriptors and null pointers: a call that got through would answer EBADF, EFAULT or EINVAL.
    answers = filtered(lambda: {name: call(name, -1, 0, -1, 0, 0) for name in FORBIDDEN.split()})
    assert answers == dict.fromkeys(FORBIDDEN.split(), errno.EPERM)


def test_clone3_is_absent_and_processes_can_still_be_made() -> None:
    assert filtered(lambda: call("clone3", 0, 0)) == errno.ENOSYS

    def fork() -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert filtered(fork) == 7


@pytest.mark.parametrize("flag", [0x10000000, 0x40000000, 0x20000000, 0x08000000])
def test_clone_makes_no_namespace(flag: int) -> None:
    assert filtered(lambda: call("clone", flag | signal.SIGCHLD, 0)) == errno.EPERM


@pytest.mark.parametrize(
    ("family", "expected"), [(1, 0), (2, 0), (16, 0), (38, errno.EPERM), (40, errno.EPERM), (2**32 + 38, errno.EPERM)]
)
def test_socket_families(family: int, expected: int) -> None:
    kind = 3 if family == 16 else 1
    assert filtered(lambda: call("socket", family, kind)) == expected


def test_personality_is_kept_to_the_harmless() -> None:
    assert filtered(lambda: [call("personality", 0xFFFFFFFF), call("personality", 0x0040000)]) == [0, errno.EPERM]


def test_call_younger_than_the_profile_is_absent() -> None:
    assert filtered(lambda: 0 if LIBC.syscall(ctypes.c_long(900)) >= 0 else ctypes.get_errno()) == errno.ENOSYS


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is x86_64's")
def test_call_of_the_x32_abi_ends_the_process() -> None:
    x32_getpid = 0x40000000 | 39
    assert filtered(lambda: LIBC.syscall(ctypes.c_long(x32_getpid))) == -signal.SIGSYS


def test_ordinary_work_goes_on() -> None:
    def work() -> list[object]:
        with open("/proc/self/status", encoding="utf-8") as status:
            mode = next(line.split()[1] for line in status if line.startswith("Seccomp:"))
        return [mode, os.system("exit 3") >> 8, sorted(os.listdir("/"))[:1] != []]

    assert filtered(work) == ["2", 3, True]


def test_filter_is_installed_quickly() -> None:
    def install() -> float:
        best = 1.0
        for _ in range(5):
            begin = time.perf_counter()
            KERNEL.seccomp_set_filter(PROGRAM, seccomp.DEFAULT_FLAGS)
            best = min(best, time.perf_counter() - begin)
        return best

    assert float(str(filtered(install))) < 0.01
