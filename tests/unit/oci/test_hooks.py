from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from runtime.errors import SystemFailure
from runtime.linux.syscalls import KERNEL
from runtime.oci import hooks

if TYPE_CHECKING:
    from pathlib import Path

STATE = hooks.state({"annotations": {"a": "b"}}, container="box", status="creating", pid=12, bundle="/b")


def shell(text: str, **more: object) -> dict[str, object]:
    return {"path": "/bin/sh", "args": ["sh", "-c", text], **more}


def test_a_hook_reads_the_state_on_stdin_and_has_only_its_own_environment(tmp_path: Path) -> None:
    hooks.run(KERNEL, "prestart", [shell(f"cat > {tmp_path}/state; env > {tmp_path}/env", env=["X=1"])], STATE)
    assert json.loads((tmp_path / "state").read_text()) == {
        "ociVersion": hooks.OCI_VERSION,
        "id": "box",
        "status": "creating",
        "pid": 12,
        "bundle": "/b",
        "annotations": {"a": "b"},
    }
    assert "X=1" in (tmp_path / "env").read_text()
    assert "HOME=" not in (tmp_path / "env").read_text()


def test_the_first_failure_ends_the_rest_and_says_what_the_hook_said(tmp_path: Path) -> None:
    failing = shell("echo broken >&2; exit 3")
    with pytest.raises(SystemFailure, match=r"hook prestart /bin/sh: ended with status 3: broken"):
        hooks.run(KERNEL, "prestart", [failing, shell(f"touch {tmp_path}/second")], STATE)
    assert not (tmp_path / "second").exists()


def test_a_hook_that_hangs_is_killed_after_its_timeout() -> None:
    before = time.monotonic()
    with pytest.raises(SystemFailure, match="did not end within 1 s"):
        hooks.run(KERNEL, "prestart", [shell("exec sleep 60", timeout=1)], STATE)
    assert time.monotonic() - before < 10


def test_a_hook_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemFailure, match="hook poststop /nosuch: no such file or directory"):
        hooks.run(KERNEL, "poststop", [{"path": "/nosuch"}], STATE)


def test_after_the_end_every_hook_runs_and_failures_are_told(tmp_path: Path) -> None:
    entries = [shell("exit 1"), {"path": "/nosuch"}, shell(f"touch {tmp_path}/last")]
    assert hooks.run_all(KERNEL, "poststop", entries, STATE) == [
        "hook poststop /bin/sh: ended with status 1",
        "hook poststop /nosuch: no such file or directory",
    ]
    assert (tmp_path / "last").exists()
