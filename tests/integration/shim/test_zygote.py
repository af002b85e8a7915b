"""The zygote: what it holds, how it is protected, and what survives whose death."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
import uuid
from pathlib import Path

import pytest

from runtime.cgroups import layout
from runtime.errors import EngineError
from runtime.shim import enginewatch, launch
from runtime.wire import frames, seqpacket

from .rig import PATIENCE, alive, client_stream, process, wait_until

pytestmark = pytest.mark.root


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def engines(rig):
    """(pid, mount namespace) of each engine that was started."""
    if not rig.engine_log.exists():
        return []
    words = rig.engine_log.read_text().split()
    return list(zip(words[::2], words[1::2], strict=False))


def test_it_greets_with_version_and_pid(rig):
    assert rig.hello["pid"] == rig.zygote_pid
    assert rig.hello["protocol"] == 1


def test_it_runs_from_a_sealed_copy_and_is_hidden_from_those_without_rights(rig):
    assert os.readlink(f"/proc/{rig.zygote_pid}/exe").startswith("/memfd:pycompose")
    with pytest.raises(OSError, match="Operation not permitted|Text file busy|Permission denied"):
        os.close(os.open(f"/proc/{rig.zygote_pid}/exe", os.O_WRONLY | os.O_TRUNC))
    assert os.readlink(f"/proc/{rig.zygote_pid}/cwd") == "/"
    assert os.getsid(rig.zygote_pid) == rig.zygote_pid
    # A process that is not dumpable keeps its memory from others of its user.
    status = Path(f"/proc/{rig.zygote_pid}/status").read_text()
    assert "Threads:\t1\n" in status


def test_its_rehearsal_leaves_neither_processes_nor_files_nor_descriptors(rig):
    container = rig.run("sleep", "300")  # what is left of the rehearsal, which began with hello, is done before
    children = Path(f"/proc/{rig.zygote_pid}/task/{rig.zygote_pid}/children")
    wait_until(lambda: children.read_text().split() == [str(container.shim_pid)])
    assert os.listdir(f"/proc/{rig.zygote_pid}/root{rig.paths.bundles}") == []
    # /dev/null, log twice, connection, two namespaces, bundles, epoll, listener, the pair that SIGCHLD wakes the loop by
    assert len(os.listdir(f"/proc/{rig.zygote_pid}/fd")) == 11
    assert "rehearsal" not in Path(rig.paths.engine_log).read_text()


def test_bundles_are_seen_by_the_zygote_alone_and_written_by_descriptor(rig):
    directory = rig.request("bundles")[1][0]
    try:
        os.mkdir("one", dir_fd=directory)
    finally:
        os.close(directory)
    # The rehearsal may still be going on.
    assert {"one"} == {*os.listdir(f"/proc/{rig.zygote_pid}/root{rig.paths.bundles}")} - {"rehearsal"}
    assert os.listdir(rig.paths.bundles) == []


def test_a_sandbox_is_stored_as_it_is_made(rig):
    names = ["sandbox:a:netns", "sandbox:a:rtnl", "sandbox:a:dns_udp", "sandbox:a:dns_tcp"]
    fds = rig.request("sandbox", dns=True, keys=names)[1]
    seqpacket.close_all(fds)
    assert rig.request("keys")[0]["keys"] == sorted(names)
    rig.request("drop", keys=names)
    assert rig.request("keys")[0]["keys"] == []


def own_memory(containers):
    """KB that a shim shares with nobody, on average."""
    own = [
        int(line.split()[1])
        for container in containers
        for line in Path(f"/proc/{container.shim_pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Private_Dirty:")
    ]
    assert len(own) == len(containers)
    return sum(own) / len(own)


def test_a_shim_has_little_memory_of_its_own_waiting_and_after_a_probe(rig):
    containers = [rig.run("sleep", "300") for _ in range(10)]
    waiting = own_memory(containers)
    assert waiting < 1600  # 2000 and more before rehearsals and errands
    for container in containers:
        container.send("probe", id="p", process=process("true"), timeout=PATIENCE)
        assert container.expect("probe_result")["exit_code"] == 0
    assert own_memory(containers) - waiting < 430  # 500 and more before probes were rehearsed


def test_its_mounts_are_not_the_hosts(rig):
    rig.request("host_layer")
    assert rig.paths.run not in Path("/proc/self/mountinfo").read_text()
    assert rig.paths.run in Path(f"/proc/{rig.zygote_pid}/mountinfo").read_text()
    assert rig.request("host_layer")[0] == rig.request("host_layer")[0]


def test_descriptors_survive_the_engine_that_stored_them(rig):
    read, write = os.pipe()
    rig.request("store", [write], key="sandbox/1")
    os.close(write)
    with launch.connect(rig.paths) as other:
        assert launch.request(other, {"type": "keys"})[0]["keys"] == ["sandbox/1"]
        _, fds = launch.request(other, {"type": "fetch", "key": "sandbox/1"})
        os.write(fds[0], b"x")
        assert os.read(read, 1) == b"x"
        launch.request(other, {"type": "drop", "keys": ["sandbox/1"]})
        with pytest.raises(EngineError, match="no key"):
            launch.request(other, {"type": "fetch", "key": "sandbox/1"})
    seqpacket.close_all(fds)
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_sandbox_has_dns_sockets_in_a_namespace_of_its_own(rig):
    answer, fds = rig.request("sandbox", dns=True)
    netns, _, udp, tcp = fds
    assert os.fstat(netns).st_ino != os.stat("/proc/self/ns/net").st_ino
    with socket.socket(fileno=udp) as dns_udp, socket.socket(fileno=tcp) as dns_tcp:
        assert dns_udp.getsockname() == ("127.0.0.11", answer["udp_port"])
        assert dns_tcp.getsockname() == ("127.0.0.11", answer["tcp_port"])
    again, more = rig.request("sandbox", [netns], dns=True)
    assert os.fstat(more[0]).st_ino == os.fstat(netns).st_ino
    assert again["udp_port"]
    seqpacket.close_all([*fds[:2], *more])


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"type": "nonsense"}, "InvalidParameter"),
        ({"type": "store"}, "InvalidParameter"),
        ({"type": "fetch", "key": "none"}, "NotFound"),
        ({"type": "start", "hold": ["netns"]}, "InvalidParameter"),
    ],
)
def test_a_bad_request_is_answered_and_the_connection_stays(rig, message, kind):
    with pytest.raises(EngineError) as caught:
        launch.request(rig.zygote, message)
    assert caught.value.to_wire()["kind"] == kind
    assert rig.request("keys")[0]["keys"] == []


def test_a_container_outlives_its_zygote_and_its_shim_still_answers(rig):
    container = rig.run("sleep", "300")
    kill(rig.zygote_pid)
    os.waitpid(rig.zygote_pid, 0)
    hello = container.reconnect()
    assert (hello["status"], hello["init_pid"], hello["pid"]) == ("running", container.init_pid, container.shim_pid)
    assert container.exec("echo", "still here").finish()[0] == b"still here\n"
    container.send("kill", signal=signal.SIGKILL, all=False)
    container.expect("exited")
    container.release()


def test_a_new_engine_is_told_of_the_end_that_the_old_one_missed(rig):
    container = rig.run("sleep", "300")
    container.control.close()
    kill(container.init_pid)
    wait_until(container.exit_record.exists)
    hello = container.reconnect()
    assert hello["status"] == "exited"
    exited = container.expect("exited")
    assert exited["exit_code"] == 137
    assert json.loads(container.exit_record.read_text())["at"] == exited["at"]
    container.release()


def test_the_newest_control_peer_wins(rig):
    container = rig.run("sleep", "300")
    first = container.control.dup()
    assert container.reconnect()["status"] == "running"
    with first, pytest.raises(EOFError):
        seqpacket.recv(first)


def test_the_zygote_brings_back_an_engine_that_vanished_into_the_hosts_mount_namespace(rig):
    rig.zygote.close()
    wait_until(lambda: len(engines(rig)) >= 1)
    _, mounts = engines(rig)[0]
    assert mounts == os.readlink("/proc/self/ns/mnt")


def test_after_bye_no_engine_is_brought_back_and_the_zygote_goes_when_nothing_is_left(rig):
    container = rig.run("sleep", "300")
    rig.request("bye")
    container.send("bye")
    container.control.close()
    rig.zygote.close()
    assert container.reconnect()["status"] == "running"
    assert alive(rig.zygote_pid)
    container.send("kill", signal=signal.SIGKILL, all=False)
    container.expect("exited")
    container.release()
    wait_until(lambda: not alive(rig.zygote_pid))
    assert engines(rig) == []
    assert not os.path.exists(rig.paths.zygote_socket)


def test_an_engine_that_holds_its_lock_is_not_doubled(rig):
    import fcntl
    import time

    lock = os.open(rig.paths.engine_lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    rig.zygote.close()
    time.sleep(0.4)
    assert engines(rig) == []
    os.close(lock)
    wait_until(lambda: engines(rig))


def test_with_the_zygote_gone_one_of_the_shims_brings_the_engine_back(rig):
    containers = [rig.run("sleep", "300") for _ in range(3)]
    kill(rig.zygote_pid)
    os.waitpid(rig.zygote_pid, 0)
    for container in containers:
        container.control.close()
    wait_until(lambda: engines(rig))
    assert engines(rig)[0][1] == os.readlink("/proc/self/ns/mnt")
    for container in containers:
        assert container.reconnect()["status"] == "running"
        container.send("bye")


def test_a_shim_whose_record_is_removed_brings_no_engine_back(rig):
    container = rig.run("sleep", "300")
    shutil.rmtree(rig.paths.container(container.name))
    rig.zygote.close()
    os.kill(rig.zygote_pid, signal.SIGKILL)
    container.control.close()
    time.sleep(3 * enginewatch.RESPAWN_SECONDS + 1)
    assert not rig.engine_log.exists()
    assert alive(container.init_pid)


def test_a_shim_whose_record_is_removed_before_it_began_goes(rig):
    container = rig.start("sleep", "300")
    container.created()
    shutil.rmtree(rig.paths.container(container.name))
    rig.zygote.close()
    container.control.close()
    wait_until(lambda: not alive(container.shim_pid) and not alive(container.init_pid))
    cgroup = layout.detect().manager(f"pycompose/{rig.id}/{container.name}")
    assert not any(os.path.exists(directory) for _, directory in cgroup.directories())


def test_with_the_data_root_gone_zygote_and_shims_go_when_their_containers_are_over(rig):
    container = rig.run("sleep", "300")
    container.control.close()
    rig.zygote.close()
    shutil.rmtree(rig.paths.root)
    shutil.rmtree(rig.paths.run, ignore_errors=True)
    kill(container.init_pid)
    wait_until(lambda: not alive(container.shim_pid))
    wait_until(lambda: not alive(rig.zygote_pid))
    assert engines(rig) == []


def test_a_container_whose_shim_was_killed_is_ended_and_its_end_recorded(rig):
    container = rig.run("sh", "-c", "trap '' TERM; sleep 300 & wait")
    kill(container.shim_pid)
    with pytest.raises(EOFError):
        container.next()
    wait_until(container.exit_record.exists)
    record = json.loads(container.exit_record.read_text())
    assert (record["exit_code"], record["signal"]) == (137, 9)
    assert not alive(container.init_pid)
    assert rig.request("keys")[0]["ok"]


def test_without_a_pid_namespace_the_end_of_one_whose_shim_was_killed_is_recorded_too(rig):
    name = uuid.uuid4().hex * 2
    spec = rig.spec(name, "sh", "-c", "(sleep 301 &); sleep 300")
    spec["linux"]["namespaces"] = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != "pid"]
    container = rig.start_spec(name, spec)
    container.run()
    members = layout.detect().manager(f"pycompose/{rig.id}/{name}").pids
    wait_until(lambda: len(members()) >= 3)
    kill(container.shim_pid)
    wait_until(container.exit_record.exists)
    record = json.loads(container.exit_record.read_text())
    assert (record["exit_code"], record["signal"]) == (137, 9)
    wait_until(lambda: not members())


def test_fifty_containers_start_side_by_side(rig):
    containers = [rig.start("sleep", "300") for _ in range(50)]
    for container in containers:
        container.created()
        container.send("go")
    for container in containers:
        container.expect("started")
    for container in containers:
        container.send("kill", signal=signal.SIGKILL, all=False)
    for container in containers:
        assert container.expect("exited")["exit_code"] == 137
    for container in containers:
        container.send("release")
    wait_until(lambda: not any(alive(container.shim_pid) for container in containers))


def test_a_connection_that_never_says_start_does_not_stop_others(rig):
    container = rig.run("sleep", "300")
    with client_stream(rig.paths.shim_socket(container.name)) as silent:
        silent.settimeout(PATIENCE)
        assert container.exec("true").finish()[2] == {"ExitCode": 0}
        silent.sendall(frames.encode(frames.STDIN, b"x"))
        assert frames.Decoder().feed(silent.recv(4096))[0][0] == frames.ERROR
