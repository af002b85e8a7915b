from __future__ import annotations

import os
import socket
from errno import EPERM
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter, SyscallError
from runtime.oci import messages

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours.fileno(), theirs.fileno()


@pytest.mark.parametrize(
    ("error", "code", "kind", "text"),
    [
        (SyscallError("mount", EPERM, "/x"), 125, "SystemFailure", "bind a on b: /x: operation not permitted"),
        (SyscallError("openat2", EPERM, "b"), 125, "SystemFailure", "bind a on b: operation not permitted"),
        (InvalidParameter("user x: unknown"), 125, "InvalidParameter", "user x: unknown"),
        (messages.ExecError("exec: nothing", 127), 127, "SystemFailure", "exec: nothing"),
        (FileNotFoundError(2, "x", "/y"), 125, "SystemFailure", "bind a on b /y: no such file or directory"),
        (KeyError("k"), 125, "SystemFailure", "bind a on b: KeyError: 'k'"),
    ],
)
def test_a_failure_arrives_with_stage_code_kind_and_words(
    pair: tuple[int, int], error: Exception, code: int, kind: str, text: str
) -> None:
    messages.send(pair[0], messages.encode_failure("bind a on b", error))
    with pytest.raises(messages.StartError) as caught:
        messages.receive(pair[1])
    assert (caught.value.stage, caught.value.exit_code, caught.value.message) == ("bind a on b", code, text)
    assert caught.value.to_wire()["kind"] == kind


def test_end_of_file_means_that_the_program_runs(pair: tuple[int, int]) -> None:
    messages.send(pair[0], messages.CREATED)
    assert messages.receive(pair[1]) == "created"
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with reader:
        writer.close()
        assert messages.receive(reader.fileno()) is None
        assert not messages.send(reader.fileno(), messages.GO)


def test_a_huge_failure_still_fits(pair: tuple[int, int]) -> None:
    messages.send(pair[0], messages.encode_failure("x", InvalidParameter("y" * 100_000)))
    with pytest.raises(messages.StartError) as caught:
        messages.receive(pair[1])
    assert len(caught.value.message) == 4096
    assert os.get_blocking(pair[0])
