"""Against the real kernel, with calls that need no privileges; what forks runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from errno import EBADF, EINVAL, ENOENT, EPERM

import pytest

from runtime.errors import SyscallError
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL


def single_threaded(program: str) -> str:
    """The output of a Python program in a fresh process."""
    head = "import os, sys; sys.path.insert(0, os.getcwd()); from runtime.linux.syscalls import KERNEL as k\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", head + program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_failed_call_carries_name_errno_and_path() -> None:
    with pytest.raises(SyscallError) as caught:
        KERNEL.openat2(c.AT_FDCWD, "/nowhere", os.O_PATH)
    assert (caught.value.call, caught.value.errno, caught.value.path) == ("openat2", ENOENT, "/nowhere")
    assert caught.value.message == "openat2 /nowhere: no such file or directory"


def test_try_openat2_gives_a_negative_errno() -> None:
    assert KERNEL.try_openat2(c.AT_FDCWD, "/nowhere", os.O_PATH) == -ENOENT


def test_opened_descriptors_are_close_on_exec() -> None:
    fd = KERNEL.openat2(c.AT_FDCWD, "/", os.O_PATH)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_a_sealed_memfd_cannot_be_written() -> None:
    fd = KERNEL.memfd_create("test", c.MFD_CLOEXEC | c.MFD_ALLOW_SEALING)
    os.write(fd, b"before")
    KERNEL.add_seals(fd, c.F_SEAL_WRITE | c.F_SEAL_SEAL)
    with pytest.raises(OSError, match="not permitted") as caught:
        os.write(fd, b"after")
    assert caught.value.errno == EPERM
    os.close(fd)


def test_bad_descriptors_and_arguments_are_errors() -> None:
    with pytest.raises(SyscallError) as caught:
        KERNEL.setns(-1, c.CLONE_NEWNET)
    assert caught.value.errno == EBADF
    with pytest.raises(SyscallError) as caught:
        KERNEL.close_range(10, 1)
    assert caught.value.errno == EINVAL


def test_fstatfs_names_procfs() -> None:
    fd = os.open("/proc", os.O_PATH)
    assert KERNEL.fstatfs_type(fd) == c.PROC_SUPER_MAGIC
    os.close(fd)


def test_clone3_forks_and_gives_a_pidfd() -> None:
    output = single_threaded(
        "pid, pidfd = k.clone3(0)\n"
        "if pid == 0: os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), pidfd > 2, os.get_inheritable(pidfd))"
    )
    assert output == "7 True False"


def test_clone3_children_have_default_signal_handlers() -> None:
    output = single_threaded(
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(9))\n"
        "pid, pidfd = k.clone3(0)\n"
        "if pid == 0: os.kill(os.getpid(), 15); os._exit(8)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert output == "-15"


def test_execve_passes_arguments_and_environment_as_they_are() -> None:
    output = single_threaded("k.execve('/usr/bin/env', [b'env'], [b'A=1', b'A=2', b'WITH NEWLINE=x\\ny', b'E='])")
    assert output == "A=1\nA=2\nWITH NEWLINE=x\ny\nE="


def test_execve_takes_more_strings_than_the_prepared_array() -> None:
    output = single_threaded("k.execve('/bin/sh', [b'sh', b'-c', b'echo $#', b'sh'] + [b'x'] * 3000, [])")
    assert output == "3000"


def test_prlimit_and_close_range_act_on_the_caller() -> None:
    output = single_threaded(
        "import resource\n"
        "k.prlimit(0, resource.RLIMIT_NOFILE, 64, 128)\n"
        "fd = os.dup(1); k.close_range(fd, fd)\n"
        "try: os.fstat(fd)\n"
        "except OSError: print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert output == "(64, 128)"


def test_capget_agrees_with_proc() -> None:
    effective, permitted, inheritable = KERNEL.capget()
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":\t") for line in status.read().splitlines() if line.startswith("Cap"))
    assert [f"{value:016x}" for value in (effective, permitted, inheritable)] == [
        fields["CapEff"],
        fields["CapPrm"],
        fields["CapInh"],
    ]
