"""Exit records say what waitpid said."""

from __future__ import annotations

import json
import os
import signal

import pytest

from runtime.linux import procfs
from runtime.shim import exitrecord


def wait_status(code=None, number=None):
    return number if number is not None else code << 8


@pytest.mark.parametrize(
    ("status", "code", "number"),
    [
        (wait_status(code=0), 0, 0),
        (wait_status(code=7), 7, 0),
        (wait_status(code=255), 255, 0),
        (wait_status(number=signal.SIGKILL), 137, 9),
        (wait_status(number=signal.SIGTERM), 143, 15),
        (wait_status(number=signal.SIGSEGV | 0x80), 139, 11),  # with a core dump
    ],
)
def test_a_wait_status_becomes_exit_code_and_signal(status, code, number):
    message = exitrecord.exited(status, oom=False, at="t")
    assert message == {"type": "exited", "exit_code": code, "signal": number, "oom": False, "at": "t"}


def test_the_record_on_disk_is_the_message_and_the_boot_id(tmp_path):
    path = str(tmp_path / "exit.json")
    message = exitrecord.exited(0, oom=True, at="t")
    exitrecord.write(path, message)
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == {**message, "boot_id": procfs.boot_id()}
    assert os.listdir(tmp_path) == ["exit.json"]
    exitrecord.remove(path)
    exitrecord.remove(path)
    assert os.listdir(tmp_path) == []
