"""A lost engine is brought back by one, and only when nobody holds its lock."""

from __future__ import annotations

import fcntl
import os
import time

import pytest

from runtime.shim import respawn
from runtime.shim.loop import Loop
from runtime.shim.respawn import Respawn, engine_is_gone


@pytest.fixture
def spawned(monkeypatch):
    calls = []
    monkeypatch.setattr(respawn, "spawn", lambda *_: calls.append(1))
    monkeypatch.setattr(respawn, "RETRY_SECONDS", 0.01)
    return calls


def make(tmp_path, loop, stand_back=bool):
    command = {"argv": ["/bin/true"], "env": {}, "lock": str(tmp_path / "engine.lock"), "log": "/dev/null"}
    return Respawn(loop, None, command, {"pid": -1, "mnt": -1}, stand_back)


def turn(loop, seconds=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loop.step(0.005)


def test_a_lost_engine_is_spawned_again_until_one_says_hello(tmp_path, spawned):
    loop = Loop()
    watch = make(tmp_path, loop)
    watch.lost(0)
    turn(loop)
    assert len(spawned) >= 2
    watch.found()
    count = len(spawned)
    turn(loop)
    assert len(spawned) == count


def test_an_engine_that_holds_its_lock_is_left_alone(tmp_path, spawned):
    loop = Loop()
    lock = os.open(tmp_path / "engine.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert not engine_is_gone(str(tmp_path / "engine.lock"))
    watch = make(tmp_path, loop)
    watch.lost(0)
    turn(loop)
    assert spawned == []
    os.close(lock)
    turn(loop)
    assert spawned
    watch.found()


def test_of_many_who_lost_the_engine_one_spawns(tmp_path, spawned, monkeypatch):
    monkeypatch.setattr(respawn, "RETRY_SECONDS", 10)
    loop = Loop()
    watches = [make(tmp_path, loop) for _ in range(5)]
    for watch in watches:
        watch.lost(0)
    turn(loop)
    assert spawned == [1]
    for watch in watches:
        watch.found()


def test_who_is_told_to_stand_back_does(tmp_path, spawned):
    loop = Loop()
    watch = make(tmp_path, loop, stand_back=lambda: True)
    watch.lost(0)
    turn(loop)
    assert spawned == []
    watch.found()
