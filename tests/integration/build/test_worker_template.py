"""Jobs are forked from one template: it may be killed, and it leaves when it is not needed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.jobs import jobs
from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


def templates(stack: Stack) -> list[int]:
    """What the stack's engine has to fork jobs from, while it lives."""
    engine = stack.status()["Pid"]
    found = []
    for path in Path(f"/proc/{engine}/task").glob("*/children"):
        for pid in path.read_text().split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            found += [int(pid)] if b"runtime.worker" in command else []
    return found


def test_a_build_outlives_its_template_and_the_next_one_has_another(stack: Stack) -> None:
    stack.write("pace", "")
    step = "RUN --mount=type=bind,target=/c echo begun here; while [ -e /c/pace ]; do sleep 0.1; done; echo over"
    stack.write("Dockerfile", f"FROM localhost/host\n{step}\n")
    stack.run("image", "ls")
    assert templates(stack) == []
    client = stack.start("image", "build", "--progress", "plain", "-t", "orphan:1", ".")
    with client:
        assert client.stderr is not None
        assert any("begun here" in line and "echo" not in line for line in client.stderr)
        [first] = templates(stack)
        [job] = jobs(stack, "build_image")
        os.kill(first, signal.SIGKILL)
        poll(lambda: templates(stack) == [], 10, "the template is gone")
        assert Path(f"/proc/{job}").exists()
        (stack.folder / "pace").unlink()
        client.communicate(timeout=60)
    assert client.returncode == 0
    stack.run("image", "inspect", "orphan:1")
    poll(lambda: not Path(f"/proc/{job}").exists(), 10, "the worker is gone")
    stack.run("image", "build", "-t", "orphan:2", ".")
    [second] = templates(stack)
    assert second != first
    # it waits for the next build; what the engine does for itself does not keep it
    os.kill(second, signal.SIGTERM)
    poll(lambda: templates(stack) == [], 10, "it is gone")
    stack.run("image", "rm", "-f", "orphan:1", "orphan:2")
    poll(lambda: not os.listdir(stack.root / "data/trash"), 20, "the layers are deleted")
    poll(lambda: templates(stack) == [], 20, "nothing waits")
