"""What an attached `up` shows beside logs: output that is kept nowhere, and that of hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


def test_output_that_no_log_keeps_is_shown_as_it_is_written(stack: Stack) -> None:
    stack.compose("""
        services:
          web:
            image: localhost/host
            command: sh -c 'echo out; echo err >&2; sleep 0.3; echo later'
            logging: {driver: none}
    """)
    up = stack.run("up")
    assert [line for line in up.out.splitlines() if "|" in line] == ["web-1  | out", "web-1  | later"]
    assert "web-1  | err" in up.err.splitlines()
    logs = stack.run("logs")
    assert (logs.code, logs.out) == (0, "")
    assert f'Can\'t retrieve logs for \\"{stack.project}-web-1\\"' in logs.err
    assert "configured logging driver does not support reading" in logs.err


def test_output_of_hooks_stands_under_an_arrow(stack: Stack) -> None:
    stack.compose("""
        services:
          web:
            image: localhost/host
            command: sleep 1000
            stop_signal: SIGKILL
            post_start: [{command: [sh, -c, "echo hello; printf rest"]}]
            pre_stop: [{command: [echo, bye]}]
          short: {image: localhost/host, command: sh -c 'sleep 1; exit 3'}
    """)
    up = stack.run("up", "--abort-on-container-exit", ok=False)
    assert up.code == 3
    shown = [line.split() for line in up.out.splitlines() if "->" in line]
    assert shown == [["web-1", "->", "|", text] for text in ("hello", "rest", "bye")]
