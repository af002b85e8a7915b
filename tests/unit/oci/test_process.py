"""The process section of a spec as numbers, masks and bytes."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidParameter
from runtime.oci import process, rootfs
from runtime.oci.capabilities import DEFAULT, sets


def parsed(**changes: Any) -> process.Process:
    return process.parse({"args": ["sh"], "cwd": "/", **changes})


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (None, None),
        ({}, None),
        ({"height": 0, "width": 0}, None),
        ({"height": 24, "width": 80}, (24, 80)),
        ({"height": 24}, (24, 0)),
        ({"width": 70_000}, (0, 70_000 - 65_536)),
    ],
)
def test_a_console_size_is_rows_and_columns_or_absent(
    size: dict[str, int] | None, expected: tuple[int, int] | None
) -> None:
    section: dict[str, Any] = {} if size is None else {"consoleSize": size}
    assert parsed(terminal=True, **section).size == expected
    assert rootfs.console_size(section) == expected


def test_what_is_absent_has_the_defaults_of_the_specification() -> None:
    made = process.parse({"args": ["sh"]})
    assert (made.cwd, made.env, made.terminal, made.umask) == ("/", [], False, 0o022)
    assert (made.uid, made.gid, made.groups, made.user) == (0, 0, [], None)
    assert (made.effective, made.permitted, made.inheritable, made.ambient) == (0, 0, 0, [])
    assert made.oom_score_adj is None
    assert made.io_priority is None
    assert (made.scheduler, made.seccomp, made.no_new_privs) == (b"", b"", False)


def test_texts_become_the_bytes_they_came_from() -> None:
    made = parsed(args=["sh", "caf\xe9", "\udcff"], env=["A=\udc80"])
    assert made.argv == [b"sh", b"caf\xc3\xa9", b"\xff"]
    assert made.env == [b"A=\x80"]


def test_every_capability_that_is_not_bounding_is_dropped() -> None:
    made = parsed(capabilities=sets(DEFAULT))
    assert made.effective == made.permitted == 0xA80425FB
    assert not {number for number in made.bounding_drop if 0xA80425FB >> number & 1}
    assert 21 in made.bounding_drop
    assert parsed(capabilities={"ambient": ["CAP_CHOWN"]}).ambient == [0]


@pytest.mark.parametrize("key", ["uid", "gid"])
@pytest.mark.parametrize("number", [-1, 2**32 - 1, 2**32])
def test_an_id_that_the_kernel_would_take_for_no_change_or_root_is_refused(key: str, number: int) -> None:
    with pytest.raises(InvalidParameter, match=f"id {number} is out of range"):
        parsed(user={key: number})
    with pytest.raises(InvalidParameter, match="out of range"):
        parsed(user={"additionalGids": [number]})
    assert getattr(parsed(user={key: 2**32 - 2}), key) == 2**32 - 2


def test_unlimited_is_minus_one_or_the_largest_number() -> None:
    made = parsed(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 2**64 - 1, "hard": -1}, {"type": "RLIMIT_CORE"}])
    assert made.rlimits == [("RLIMIT_NOFILE", 7, 2**64 - 1, 2**64 - 1), ("RLIMIT_CORE", 4, 0, 0)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"args": None}, "args are empty"),
        ({"env": ["A=\0"]}, "env hold a NUL byte"),
        ({"cwd": "relative"}, "needs to be an absolute path"),
        ({"cwd": "/a\0"}, "needs to be an absolute path"),
        ({"scheduler": {"policy": "SCHED_NEW"}}, "scheduler policy SCHED_NEW: unknown"),
        ({"scheduler": {"policy": "SCHED_FIFO", "flags": ["X"]}}, "scheduler flag X: unknown"),
        ({"scheduler": {"policy": "SCHED_FIFO", "nice": 2**40}}, "a number is out of range"),
        ({"ioPriority": {"class": "IOPRIO_CLASS_RT", "priority": 8}}, "ioPriority IOPRIO_CLASS_RT 8"),
    ],
)
def test_what_execve_could_not_take_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        parsed(**changes)


def test_groups_to_add_are_looked_up_for_a_numeric_user_too() -> None:
    made = parsed(user={"uid": 7}, **{"x-groups": ["wheel"]})
    assert (made.user, made.group_add) == ("7", ["wheel"])
