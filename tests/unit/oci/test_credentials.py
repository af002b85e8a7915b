"""The order in which a process gives up what it may do, and the words for a program that cannot be executed."""

from __future__ import annotations

import os
from errno import EACCES, ENOENT, ENOEXEC, EPERM
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import SystemFailure
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL
from runtime.oci import credentials, lookpath, process
from runtime.oci.capabilities import DEFAULT, sets
from runtime.oci.messages import ExecError
from runtime.oci.mounts import Context
from tests.kit.recordingkernel import RecordingKernel

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = bytes(16)


@pytest.fixture(autouse=True)
def _keep_umask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


def prepared(**changes: Any) -> process.Process:
    section = {"args": ["true"], "cwd": "/", "capabilities": sets(DEFAULT), **changes}
    return process.parse(section, PROGRAM)


def put_on(kernel: RecordingKernel, made: process.Process, *, userns: bool = False) -> list[str]:
    credentials.put_on(Context(kernel, userns=userns), made)
    return [name for name in kernel.names() if name != "capbset_drop"]


def test_the_filter_comes_before_capabilities_go() -> None:
    kernel = RecordingKernel()
    order = put_on(kernel, prepared())
    assert order.index("seccomp_set_filter") < order.index("setgroups") < order.index("setresuid")
    assert order.index("setresgid") < order.index("setresuid") < order.index("capset")
    dropped = {number for (number,) in kernel.arguments("capbset_drop")}
    assert 21 in dropped, "CAP_SYS_ADMIN"
    assert 0 not in dropped, "CAP_CHOWN"
    assert kernel.arguments("capset") == [(0xA80425FB, 0xA80425FB, 0)]


def test_with_no_new_privs_the_filter_is_the_last_thing() -> None:
    kernel = RecordingKernel()
    order = put_on(kernel, prepared(noNewPrivileges=True))
    assert order[-1] == "seccomp_set_filter"
    assert kernel.arguments("prctl")[0] == (c.PR_SET_NO_NEW_PRIVS, 1)


def test_capabilities_that_the_machine_lacks_are_left_out() -> None:
    kernel = RecordingKernel()
    kernel.permitted = 0b1
    put_on(kernel, prepared())
    assert kernel.arguments("capset") == [(1, 1, 0)]


def test_limits_are_raised_while_they_may_be() -> None:
    kernel = RecordingKernel()
    order = put_on(kernel, prepared(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 10, "hard": -1}]))
    assert order[0] == "prlimit"
    assert kernel.arguments("prlimit") == [(0, 7, 10, 2**64 - 1)]


def test_a_limit_that_may_not_be_raised_is_named() -> None:
    kernel = RecordingKernel(failures={"prlimit": EPERM})
    with pytest.raises(SystemFailure, match="rlimit RLIMIT_CORE 1:2: operation not permitted"):
        put_on(kernel, prepared(rlimits=[{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}]))


def test_setgroups_may_fail_only_where_no_groups_are_wanted_in_a_user_namespace() -> None:
    kernel = RecordingKernel(failures={"setgroups": EPERM})
    put_on(kernel, prepared(), userns=True)
    for made, userns in ((prepared(), False), (prepared(user={"additionalGids": [5]}), True)):
        with pytest.raises(Exception, match="setgroups"):
            put_on(kernel, made, userns=userns)


def test_ambient_capabilities_are_cleared() -> None:
    kernel = RecordingKernel()
    put_on(kernel, prepared())
    assert (c.PR_CAP_AMBIENT, c.PR_CAP_AMBIENT_CLEAR_ALL) in kernel.arguments("prctl")


@pytest.mark.parametrize(
    ("errno", "code", "text"),
    [
        (ENOENT, 127, 'exec: "true": no such file or directory'),
        (EACCES, 126, 'exec: "true": permission denied'),
        (ENOEXEC, 126, 'exec: "true": exec format error'),
    ],
)
def test_execve_errors_have_a_shells_exit_code(errno: int, code: int, text: str) -> None:
    with pytest.raises(ExecError) as caught:
        credentials.execute(RecordingKernel(failures={"execve": errno}), prepared())
    assert (caught.value.exit_code, caught.value.message) == (code, text)


def test_programs_are_found_in_path_in_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").touch(0o755 if name == "b" else 0o644)
    env = [b"PATH=/nowhere", os.fsencode(f"PATH={tmp_path}/a:{tmp_path}/b")]
    assert lookpath.find(KERNEL, b"tool", env) == os.fsencode(f"{tmp_path}/b/tool")
    assert lookpath.find(KERNEL, b"sh", []) in {b"/usr/bin/sh", b"/bin/sh"}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        (b"nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        (b"", 127, 'exec: "": executable file not found in $PATH'),
        (b"/nosuch", 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (b"/etc", 126, 'exec: "/etc": is a directory: permission denied'),
        (b"/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        (b"/etc/passwd/x", 126, 'exec: "/etc/passwd/x": not a directory'),
        (b"/proc/self/exe", 126, 'exec: "/proc/self/exe": too many levels of symbolic links'),
    ],
)
def test_what_cannot_be_executed_is_said_in_dockers_words(name: bytes, code: int, message: str) -> None:
    with pytest.raises(ExecError) as caught:
        lookpath.find(KERNEL, name, [b"PATH=/usr/bin:/bin"])
    assert (caught.value.exit_code, caught.value.message) == (code, message)


def test_a_scheduler_and_an_io_priority_are_encoded() -> None:
    made = prepared(
        scheduler={"policy": "SCHED_BATCH", "nice": 5}, ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 3}
    )
    assert made.scheduler[:8] == b"\x30\0\0\0\x03\0\0\0"
    assert made.io_priority == 2 << 13 | 3
