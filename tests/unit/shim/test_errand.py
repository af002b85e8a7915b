"""Work done in a child that ends with it."""

from __future__ import annotations

import os
import signal

import pytest

from runtime.errors import NotFound
from runtime.oci.messages import StartError
from runtime.shim import errand


def children():
    with open("/proc/thread-self/children", encoding="ascii") as file:
        return file.read().split()


def test_the_outcome_comes_back_with_its_descriptors():
    before = len(os.listdir("/proc/self/fd"))

    def work():
        read, write = os.pipe()
        os.write(write, b"from the child")
        return {"pid": os.getpid()}, [read]

    message, (read,) = errand.run(work)
    assert message["pid"] != os.getpid()
    assert os.read(read, 99) == b"from the child"
    os.close(read)
    assert len(os.listdir("/proc/self/fd")) == before
    errand.collect()
    assert str(message["pid"]) not in children()


def fail(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "stage", "code", "kind", "text"),
    [
        (NotFound("image: gone"), "create", 125, "NotFound", "image: gone"),
        (StartError("mount", 126, "no", "Conflict"), "mount", 126, "Conflict", "no"),
        (
            OSError(28, "No space left on device", "/x"),
            "create",
            125,
            "SystemFailure",
            "create /x: no space left on device",
        ),
        (KeyError("id"), "create", 125, "InvalidParameter", "start request: malformed, KeyError('id')"),
    ],
)
def test_an_error_comes_back_with_stage_exit_code_and_kind(error, stage, code, kind, text):
    message, fds = errand.run(fail(error))
    assert fds == []
    made = errand.start_error(message)
    assert (made.stage, made.exit_code, made.to_wire()["kind"], made.message) == (stage, code, kind, text)


def test_a_child_that_is_killed_is_a_failure_too():
    message, _ = errand.run(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert "without a word" in errand.start_error(message).message
    errand.collect()
