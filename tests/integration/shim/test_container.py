"""One container's life through its shim: start, stdio, log, signals, exit record, release."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from runtime.cgroups import layout
from runtime.linux import procfs
from runtime.wire import frames, seqpacket

from .rig import alive, state, wait_until

pytestmark = pytest.mark.root


def cgroup_exists(container):
    manager = layout.detect().manager(f"pycompose/{container.rig.id}/{container.name}")
    return any(os.path.exists(directory) for _, directory in manager.directories())


def test_a_container_is_created_started_and_its_exit_recorded_before_it_is_told(rig):
    container = rig.start("sh", "-c", "echo out; echo err >&2; exit 7")
    created = container.created()
    assert procfs.start_time(created["pid"]) == created["start_time"]
    assert not container.log()
    assert cgroup_exists(container)
    container.send("go")
    container.expect("started")
    exited = container.expect("exited")
    assert (exited["exit_code"], exited["signal"], exited["oom"]) == (7, 0, False)
    record = json.loads(container.exit_record.read_text())
    assert record == {**exited, "boot_id": procfs.boot_id()}
    assert sorted((line["stream"], line["log"]) for line in container.log()) == [
        ("stderr", "err\n"),
        ("stdout", "out\n"),
    ]
    assert not cgroup_exists(container)
    container.release()
    assert not os.path.exists(rig.paths.shim_socket(container.name))


def test_created_brings_a_pidfd_of_pid_1(rig):
    container = rig.start("sleep", "60")
    message, (pidfd,) = container.next()
    container.init_pid = message["pid"]
    container.send("go")
    container.expect("started")
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert container.expect("exited")["exit_code"] == 137
    os.close(pidfd)


def test_a_million_lines_reach_the_log_whole_and_in_order(rig):
    container = rig.run("seq", "1000000")
    assert container.expect("exited")["exit_code"] == 0
    path = Path(rig.paths.container_log(container.name))
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            assert line.startswith(b'{"log":"%d\\n","stream":"stdout","time":"' % number)
    assert number == 1_000_000


def test_any_bytes_make_valid_records_and_a_last_line_needs_no_newline(rig):
    container = rig.run("sh", "-c", r"printf 'a\377\"\\n\n\001\n'; head -c 20000 /dev/zero | tr '\0' x; printf end")
    container.expect("exited")
    logs = [record["log"] for record in container.log()]
    assert logs == ['a\ufffd\\"\\n\n', "\x01\n", "x" * 16384, "x" * 3616 + "end"]


def test_the_log_is_rotated_by_size(rig):
    container = rig.run("seq", "10000", log={"max_size": 100_000, "max_file": 3})
    container.expect("exited")
    path = rig.paths.container_log(container.name)
    files = [f"{path}.2", f"{path}.1", path]
    assert all(os.path.getsize(file) <= 100_000 for file in files)
    assert not os.path.exists(f"{path}.3")
    kept = [int(json.loads(line)["log"]) for file in files for line in Path(file).read_text().splitlines()]
    assert kept == list(range(kept[0], 10001))


def test_without_a_log_the_output_still_reaches_an_attached_client(rig):
    container = rig.start("echo", "hello", log=False)
    container.created()
    client = container.stream(attach=True)
    assert json.loads(client.expect(frames.STARTED)) == {"Pid": container.init_pid}
    container.send("go")
    assert client.finish() == (b"hello\n", b"", {"ExitCode": 0})


def test_a_shim_that_is_released_leaves_when_its_attached_client_has_taken_everything(rig):
    container = rig.start("head", "-c", "700000", "/dev/zero", log=False)
    container.created()
    client = container.stream(attach=True)
    client.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    container.expect("exited")
    container.send("release")
    out, _, last = client.finish()
    assert len(out) == 700_000
    assert last == {"ExitCode": 0}
    wait_until(lambda: not alive(container.shim_pid))


def test_stdin_goes_from_the_client_to_the_container_and_its_end_too(rig):
    container = rig.start("cat", options={"stdin": True})
    container.created()
    client = container.stream(attach=True, stdin=True)
    client.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    client.send(frames.STDIN, b"abc")
    assert client.expect(frames.STDOUT) == b"abc"
    client.send(frames.EOF)
    assert client.finish() == (b"", b"", {"ExitCode": 0})


def test_a_megabyte_through_stdin_and_stdout_comes_back_unchanged(rig):
    container = rig.start("cat", log=False, options={"stdin": True})
    container.created()
    client = container.stream(attach=True, stdin=True)
    client.expect(frames.STARTED)
    container.send("go")
    sent = os.urandom(1 << 20)
    got = b""
    for start in range(0, len(sent), 1 << 16):
        client.send(frames.STDIN, sent[start : start + (1 << 16)])
        while len(got) < start:
            got += client.expect(frames.STDOUT)
    client.send(frames.EOF)
    rest, _, last = client.finish()
    assert got + rest == sent
    assert last == {"ExitCode": 0}


def test_stdin_once_ends_with_the_client_that_had_it(rig):
    container = rig.start("cat", options={"stdin": True, "stdin_once": True})
    container.created()
    client = container.stream(attach=True, stdin=True)
    client.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    client.close()
    assert container.expect("exited")["exit_code"] == 0


def test_several_clients_see_the_same_output_and_one_may_detach(rig):
    container = rig.start("sh", "-c", "read line; echo $line; read line; echo $line", options={"stdin": True})
    container.created()
    first, second = container.stream(attach=True, stdin=True), container.stream(attach=True)
    first.expect(frames.STARTED)
    second.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    first.send(frames.STDIN, b"one\n")
    assert first.expect(frames.STDOUT) == b"one\n"
    assert second.expect(frames.STDOUT) == b"one\n"
    second.send(frames.DETACH)
    assert second.next() is None
    first.send(frames.STDIN, b"two\n")
    assert first.finish() == (b"two\n", b"", {"ExitCode": 0})


def test_a_terminal_has_the_clients_size_and_echoes(rig):
    container = rig.start("sh", "-c", "read go; stty size; tty", options={"tty": True, "stdin": True})
    container.created()
    client = container.stream(attach=True, stdin=True)
    client.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    client.send(frames.RESIZE, b'{"h": 33, "w": 77}')
    client.send(frames.STDIN, b"x\n")
    out, _, last = client.finish()
    assert out == b"x\r\n33 77\r\n/dev/pts/0\r\n"
    assert last == {"ExitCode": 0}
    assert "".join(record["log"] for record in container.log()) == out.decode()


def test_a_shim_holds_a_terminal_by_two_descriptors_one_for_each_direction(rig):
    container = rig.run("sleep", "300", options={"tty": True, "stdin": True})
    fds = f"/proc/{container.shim_pid}/fd"
    held = [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)]
    assert sum("ptmx" in where for where in held) == 2


def test_a_malformed_frame_ends_its_client_and_nothing_else(rig):
    container = rig.run("sh", "-c", "read line; echo $line", options={"stdin": True})
    bad = container.stream(attach=True)
    bad.expect(frames.STARTED)
    bad.send(frames.SIGNAL, b"NOSUCH")
    assert bad.next() is None
    good = container.stream(attach=True, stdin=True)
    good.expect(frames.STARTED)
    good.send(frames.STDIN, b"well\n")
    assert good.finish() == (b"well\n", b"", {"ExitCode": 0})


def test_kill_sends_any_signal_and_a_signal_frame_too(rig):
    container = rig.start(
        "sh", "-c", "trap 'echo usr1' USR1; trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    )
    container.created()
    client = container.stream(attach=True)
    client.expect(frames.STARTED)
    container.send("go")
    container.expect("started")
    client.output_until(b"ready\n")
    container.send("kill", signal=signal.SIGUSR1, all=False)
    client.output_until(b"usr1\n")
    client.send(frames.SIGNAL, b"SIGTERM")
    assert client.finish()[2] == {"ExitCode": 3}


def test_a_paused_container_stands_still_and_can_be_killed(rig):
    container = rig.run("sh", "-c", "while :; do :; done")
    cgroup = layout.detect().manager(f"pycompose/{rig.id}/{container.name}")
    cgroup.freeze()
    before = Path(f"/proc/{container.init_pid}/stat").read_text().split()[13:15]
    time.sleep(0.03)
    assert Path(f"/proc/{container.init_pid}/stat").read_text().split()[13:15] == before
    cgroup.thaw()
    wait_until(lambda: Path(f"/proc/{container.init_pid}/stat").read_text().split()[13:15] != before)
    cgroup.freeze()
    container.send("kill", signal=signal.SIGKILL, all=True)
    assert container.expect("exited")["signal"] == signal.SIGKILL


@pytest.mark.parametrize(
    ("args", "code"), [(["/no/such/program"], 127), (["nosuchprogram"], 127), (["/etc"], 126), (["/etc/passwd"], 126)]
)
def test_a_program_that_cannot_be_run_is_a_failed_start_and_leaves_nothing(rig, args, code):
    container = rig.start(*args)
    failed = container.expect("start_failed")
    assert failed["exit_code"] == code
    assert args[0] in failed["error"]["message"]
    assert not container.exit_record.exists()
    assert not cgroup_exists(container)
    container.release()


def test_a_program_that_the_kernel_refuses_is_a_failed_start_after_go(rig):
    name = "b" * 64
    spec = rig.spec(name, "/garbage")
    garbage = Path(spec["x-rootfs"]["upperdir"]) / "garbage"
    garbage.write_bytes(b"\x7fELF nonsense")
    garbage.chmod(0o755)
    container = rig.start_spec(name, spec)
    container.created()
    client = container.stream(attach=True)
    client.expect(frames.STARTED)
    container.send("go")
    failed = container.expect("start_failed")
    assert failed["exit_code"] == 126
    assert failed["error"] == json.loads(client.expect(frames.ERROR))
    assert not cgroup_exists(container)
    assert container.reconnect()["status"] == "failed"
    assert container.expect("start_failed") == failed
    container.release()


def test_a_spec_that_cannot_be_set_up_is_a_failed_start_with_the_stage(rig):
    name = "f" * 64
    spec = rig.spec(name, "true")
    spec["mounts"] = [
        *spec["mounts"],
        {"destination": "/x", "type": "bind", "source": "/no/such/source", "options": ["bind"]},
    ]
    container = rig.start_spec(name, spec)
    failed = container.expect("start_failed")
    assert failed["exit_code"] == 125
    assert "/no/such/source" in failed["error"]["message"]
    assert not cgroup_exists(container)
    client = container.stream(attach=True)
    assert json.loads(client.expect(frames.ERROR))["kind"] == "Conflict"
    container.release()


def test_a_container_that_was_never_told_to_go_is_undone_by_release(rig):
    container = rig.start("true")
    container.created()
    container.send("release")
    wait_until(lambda: not alive(container.shim_pid))
    assert not alive(container.init_pid)
    assert not container.exit_record.exists()
    assert not cgroup_exists(container)


def test_a_shim_that_leaves_late_does_not_take_its_successors_sockets_away(rig):
    name = "c" * 64
    first = rig.start_spec(name, rig.spec(name, "true"))
    first.run()
    first.expect("exited")
    second = rig.start_spec(name, rig.spec(name, "sleep", "300"))
    second.run()
    first.release()
    assert second.exec("true").finish()[2] == {"ExitCode": 0}
    assert second.reconnect()["pid"] == second.shim_pid


def test_a_container_above_its_memory_limit_is_reported_as_such(rig):
    container = rig.run(
        "sh", "-c", "head -c 100m /dev/zero | tail", resources={"memory": {"limit": 20 << 20, "swap": 20 << 20}}
    )
    exited = container.expect("exited")
    assert exited["oom"] is True


def test_held_descriptors_come_back_and_give_the_network_namespace(rig):
    answer, fds = rig.request("sandbox", dns=False)
    assert answer["ok"]
    assert len(fds) == 2
    read, write = os.pipe()
    container = rig.run("readlink", "/proc/self/ns/net", network="held:netns", hold={"netns": fds[0], "spare": write})
    container.expect("exited")
    assert container.log()[0]["log"] == f"net:[{os.fstat(fds[0]).st_ino}]\n"
    container.send("fetch")
    message, held = container.next()
    assert message == {"type": "held", "names": ["netns", "spare"]}
    assert os.fstat(held[0]).st_ino == os.fstat(fds[0]).st_ino
    os.write(held[1], b"x")
    assert os.read(read, 1) == b"x"
    seqpacket.close_all([*held, *fds, read, write])


def test_no_descriptor_of_ours_is_in_the_container(rig):
    container = rig.run(
        "sh", "-c", "ls /proc/1/fd; ls -l /proc/1/fd | grep -c socket; cat /proc/1/status | grep -E 'Sig(Blk|Ign)'"
    )
    container.expect("exited")
    words = "".join(record["log"] for record in container.log()).split()
    assert words[:3] == ["0", "1", "2"]
    # The C library keeps signals 32 and 33 to itself: nobody can give them their default back.
    assert int(words[words.index("SigIgn:") + 1], 16) & ~(3 << 31) == 0


def test_without_a_pid_namespace_what_is_left_is_killed_and_the_end_reported_all_the_same(rig):
    name = "a" * 64
    spec = rig.spec(name, "sh", "-c", "sleep 300 & echo $!")
    spec["linux"]["namespaces"] = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != "pid"]
    container = rig.start_spec(name, spec)
    container.run()
    begin = time.monotonic()
    assert container.expect("exited")["exit_code"] == 0
    assert time.monotonic() - begin < 5
    left = int(container.log()[0]["log"])
    wait_until(lambda: state(left) in "ZX")


def test_sockets_work_below_a_data_root_of_three_hundred_characters(tmp_path):
    from .rig import Rig

    deep = tmp_path / ("d" * 150) / ("e" * 150)
    deep.mkdir(parents=True)
    rig = Rig(deep)
    try:
        container = rig.run("sleep", "60")
        assert container.exec("echo", "deep").finish()[0] == b"deep\n"
        assert container.reconnect()["status"] == "running"
    finally:
        rig.close()
