"""An engine and a zygote of another version take over: what the older ones still do, and what no more."""

from __future__ import annotations

import os
import signal
import time

import pytest

from runtime.errors import Unavailable
from runtime.shim import launch
from runtime.wire import seqpacket

from .rig import alive, wait_until

pytestmark = pytest.mark.root


def engines(rig):
    """How many engines were started."""
    return len(rig.engine_log.read_text().split()) // 2 if rig.engine_log.exists() else 0


def test_an_engine_that_announced_its_successor_is_not_brought_back_meanwhile(rig):
    container = rig.run("sleep", "300")
    rig.request("handover")
    rig.zygote.close()
    container.control.close()
    time.sleep(0.7)  # longer than zygote and shims wait for an engine that vanished
    assert engines(rig) == 0
    with launch.connect(rig.paths) as successor:
        launch.hello(successor)
    wait_until(lambda: engines(rig))  # the promise was for one engine
    assert container.reconnect()["status"] == "running"


def test_a_retired_zygote_gives_up_all_but_its_shims_and_leaves_with_the_last(rig):
    container = rig.run("sleep", "300")
    read, write = os.pipe()
    rig.request("store", [write], key="sandbox/1")
    os.close(write)
    rig.request("retire")
    assert os.read(read, 1) == b""
    os.close(read)
    assert not os.path.exists(rig.paths.zygote_socket)
    with pytest.raises(Unavailable):
        launch.connect(rig.paths)
    rig.zygote.close()
    time.sleep(0.2)
    assert engines(rig) == 0
    assert alive(rig.zygote_pid)
    container.send("kill", signal=signal.SIGKILL, all=False)
    assert container.expect("exited")["exit_code"] == 137
    container.release()
    wait_until(lambda: not alive(rig.zygote_pid))


def test_the_socket_of_its_successor_stays_when_a_retired_zygote_leaves(rig, tmp_path):
    rig.request("retire")
    sock, pid = launch.start(rig.paths)
    try:
        launch.hello(sock)
        rig.zygote.close()
        wait_until(lambda: not alive(rig.zygote_pid))
        assert os.path.exists(rig.paths.zygote_socket)
    finally:
        launch.request(sock, {"type": "bye"})
        sock.close()
        os.waitpid(pid, 0)


def test_a_shim_told_of_another_engine_brings_back_that_one_though_its_zygote_lives(rig, tmp_path):
    container = rig.run("sleep", "300")
    rig.request("retire")
    started = tmp_path / "newer"
    command = {
        "argv": ["/bin/sh", "-c", f"touch {started}"],
        "env": {"PATH": "/usr/bin:/bin"},
        "lock": rig.paths.engine_lock,
        "log": rig.paths.engine_log,
    }
    container.send("guard", engine=command, zygote=1)
    container.send("fetch")  # answered after the guard
    seqpacket.close_all(container.next()[1])
    container.control.close()
    rig.zygote.close()
    wait_until(started.exists)
    assert engines(rig) == 0
    assert container.reconnect()["status"] == "running"
