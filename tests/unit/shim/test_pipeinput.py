"""Input for a process that reads slowly, or not at all."""

from __future__ import annotations

import os

import pytest

from runtime.shim.loop import Loop
from runtime.shim.pipeinput import PipeInput


@pytest.fixture
def ends():
    loop = Loop()
    read, write = os.pipe()
    feed = PipeInput(loop, write, terminal=False)
    yield loop, feed, read
    feed.close()
    loop.close()


def test_a_full_pipe_is_reported_and_the_rest_follows_when_it_is_read(ends):
    loop, feed, read = ends
    drained = []
    feed.on_drain = lambda: drained.append(1)
    feed.write(b"z" * 200_000)
    assert feed.full
    feed.end()
    got = b""
    while data := os.read(read, 65536):
        got += data
        loop.step(0)
    assert got == b"z" * 200_000
    os.close(read)


def test_end_of_input_closes_an_idle_pipe_at_once(ends):
    _, feed, read = ends
    feed.end()
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_process_that_closed_its_stdin_takes_nothing_and_does_no_harm(ends):
    _, feed, read = ends
    os.close(read)
    feed.write(b"x")
    feed.write(b"y")
    assert not feed.full
