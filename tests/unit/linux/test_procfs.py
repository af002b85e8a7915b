from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runtime.errors import NotFound
from runtime.linux import pidfd, procfs
from runtime.linux.syscalls import KERNEL


def test_a_name_with_blanks_and_parentheses_does_not_shift_the_fields() -> None:
    program = "import sys; open('/proc/self/comm','w').write('a) R (1 2'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert procfs.start_time(process.pid) >= procfs.start_time(os.getpid())
        assert procfs.state(process.pid) in "SR"


def test_a_process_that_is_gone_is_not_found() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(NotFound):
        procfs.start_time(process.pid)
    with pytest.raises(NotFound):
        pidfd.open_checked(KERNEL, process.pid, 1)


def test_a_pid_with_another_start_time_is_another_process() -> None:
    start = procfs.start_time(os.getpid())
    os.close(pidfd.open_checked(KERNEL, os.getpid(), start))
    with pytest.raises(NotFound, match="another process"):
        pidfd.open_checked(KERNEL, os.getpid(), start + 1)


def test_the_end_of_a_process_is_seen_through_its_pidfd() -> None:
    process = subprocess.Popen(["sleep", "60"])
    fd = KERNEL.pidfd_open(process.pid)
    assert not pidfd.wait_gone(fd, 0.01)
    assert pidfd.send_signal(KERNEL, fd, 9)
    assert pidfd.wait_gone(fd, 10)
    process.wait()
    assert not pidfd.send_signal(KERNEL, fd, 9)
    os.close(fd)


def test_mountinfo_escapes_are_undone() -> None:
    assert procfs.unescape(r"/a\040b\011c\134d") == "/a b\tc\\d"
    assert procfs.unescape("/plain") == "/plain"


def test_the_mount_point_of_a_path_is_the_longest_that_holds_it() -> None:
    assert procfs.mount_point_of("/proc/self/status") == "/proc"
    assert procfs.mount_point_of("/") == "/"
