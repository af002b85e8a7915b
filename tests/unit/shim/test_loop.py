"""The loop calls what is ready, in time, and outlives a handler that fails."""

from __future__ import annotations

import os
import time

import pytest

from runtime.shim.loop import READ, Loop


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def test_a_watched_descriptor_calls_its_handler_until_it_is_unwatched(loop, pipe):
    read, write = pipe
    seen = []
    loop.watch(read, READ, lambda _: seen.append(os.read(read, 10)))
    os.write(write, b"a")
    loop.step(5)
    loop.unwatch(read)
    os.write(write, b"b")
    loop.step(0)
    assert seen == [b"a"]


def test_timers_come_in_order_and_cancelled_ones_not_at_all(loop):
    seen = []
    loop.later(0.002, lambda: seen.append("second"))
    loop.later(0.001, lambda: seen.append("first"))
    loop.later(0.0, lambda: seen.append("never")).cancel()
    deadline = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < deadline:
        loop.step(1)
    assert seen == ["first", "second"]


def test_a_handler_that_fails_is_reported_and_the_loop_goes_on(loop, capfd):
    seen = []

    def fail():
        raise ZeroDivisionError("no")

    loop.later(0, fail)
    loop.later(0, lambda: seen.append(1))
    loop.step(1)
    assert seen == [1]
    assert "ZeroDivisionError: no" in capfd.readouterr().err


def test_a_descriptor_dropped_by_an_earlier_handler_of_the_round_is_not_called(loop):
    (first, one), (second, two) = os.pipe(), os.pipe()
    seen = []

    def handler(mine, other):
        def call(_):
            seen.append(mine)
            loop.unwatch(other)
            loop.unwatch(mine)

        return call

    loop.watch(first, READ, handler(first, second))
    loop.watch(second, READ, handler(second, first))
    os.write(one, b"x")
    os.write(two, b"x")
    loop.step(5)
    assert len(seen) == 1
    for fd in (first, one, second, two):
        os.close(fd)
