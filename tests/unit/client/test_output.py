"""Blocks for the user's descriptors arrive whole, or it is said why not."""

from __future__ import annotations

import os
import threading

import pytest

from runtime.client.output import write_all
from runtime.errors import SystemFailure


def test_a_pipe_that_somebody_made_non_blocking_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1 << 20)
    writing = threading.Thread(target=lambda: (write_all(writer, data), os.close(writer)))
    writing.start()
    with open(reader, "rb") as stream:
        assert stream.read() == data
    writing.join()


def test_a_full_disk_is_named() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(SystemFailure, match="no space left on device"):
        write_all(full.fileno(), b"x")


def test_a_reader_that_left_is_no_failure_of_the_system() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        write_all(writer, b"x")
    os.close(writer)
