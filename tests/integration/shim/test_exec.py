"""Processes entered into a running container through the attach socket."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from runtime.wire import frames

from .rig import alive, process, state, wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def container(rig):
    return rig.run("sleep", "300")


def said(container, line):
    """Whether a process wrote it to the stdout of the container's first process."""
    return any(record["log"] == f"{line}\n" for record in container.log())


def test_output_error_output_and_exit_code_come_back(container):
    session = container.exec("sh", "-c", "echo out; echo err >&2; exit 9")
    pid = json.loads(session.expect(frames.STARTED))["Pid"]
    assert session.finish() == (b"out\n", b"err\n", {"ExitCode": 9})
    assert not alive(pid)


def test_it_is_in_the_container(container):
    out, _, _ = container.exec(
        "sh", "-c", "readlink /proc/self/ns/pid /proc/self/ns/net; ls /proc/self/fd; cat /proc/1/comm"
    ).finish()
    words = out.decode().split()
    assert words[:2] == [os.readlink(f"/proc/{container.init_pid}/ns/{kind}") for kind in ("pid", "net")]
    assert words[2:] == ["0", "1", "2", "3", "sleep"]  # 3 is ls reading the directory


def test_stdin_is_streamed_and_ended(container):
    session = container.exec("sort", stdin=True)
    session.expect(frames.STARTED)
    session.send(frames.STDIN, b"b\na\n")
    session.send(frames.EOF)
    assert session.finish() == (b"a\nb\n", b"", {"ExitCode": 0})


def test_stdin_sent_right_behind_start_is_not_lost(container):
    request = {"exec": {"id": "x", "process": process("cat"), "stdin": True}}
    session = container.stream(**request)
    session.send(frames.STDIN, b"early")
    session.send(frames.EOF)
    session.expect(frames.STARTED)
    assert session.finish() == (b"early", b"", {"ExitCode": 0})


def test_a_terminal_has_a_size_an_owner_and_ends_with_control_d(container):
    session = container.exec("sh", tty=True, stdin=True, consoleSize={"height": 24, "width": 99})
    session.expect(frames.STARTED)
    session.send(frames.STDIN, b"stty size; tty\n")
    assert b"24 99\r\n/dev/pts/0\r\n" in session.output_until(b"pts/0\r\n")
    session.send(frames.RESIZE, b'{"h":40,"w":50}')
    session.send(frames.STDIN, b"stty size\n")
    session.output_until(b"40 50\r\n")
    session.send(frames.EOF)
    assert session.finish()[2] == {"ExitCode": 0}


def test_a_client_that_vanishes_hangs_up_its_terminal(container):
    session = container.exec("sh", tty=True, stdin=True)
    pid = json.loads(session.expect(frames.STARTED))["Pid"]
    session.output_until(b"# ")
    session.close()
    wait_until(lambda: not alive(pid))


def test_a_client_that_vanishes_ends_the_stdin_and_leaves_the_process_writing(container):
    session = container.exec(
        "sh", "-c", "cat; for i in 1 2 3; do echo $i || exit 1; done; echo all >/proc/1/fd/1", stdin=True
    )
    session.expect(frames.STARTED)
    session.close()
    wait_until(lambda: said(container, "all"))


def test_a_client_that_leaves_before_the_process_began_ends_its_stdin_all_the_same(container):
    container.exec("sh", "-c", "cat; echo ended >/proc/1/fd/1", stdin=True).close()
    wait_until(lambda: said(container, "ended"))


def test_what_a_process_wrote_last_to_its_terminal_arrives(container):
    for _ in range(5):
        out, _, last = container.exec("sh", "-c", "seq 20000", tty=True).finish()
        assert (out[-7:], last) == (b"20000\r\n", {"ExitCode": 0})


def test_a_malformed_probe_leaves_no_process_behind(container):
    children = Path(f"/proc/{container.shim_pid}/task/{container.shim_pid}/children")
    before = len(os.listdir(f"/proc/{container.shim_pid}/fd"))
    container.send("probe", id="p", process=process("sleep", "60"), timeout="soon")
    assert container.expect("probe_result")["exit_code"] == -1
    assert children.read_text().split() == [str(container.init_pid)]
    assert len(os.listdir(f"/proc/{container.shim_pid}/fd")) == before


def test_a_program_that_is_not_there_is_an_error_with_exit_code_127(container):
    session = container.exec("nosuchprogram")
    _, _, error = session.finish()
    assert error["fields"]["exit_code"] == 127
    assert "nosuchprogram" in error["message"]


def test_a_signal_frame_reaches_the_process(container):
    session = container.exec("sh", "-c", "trap 'exit 4' INT; echo ready; while :; do sleep 0.01; done")
    session.expect(frames.STARTED)
    session.output_until(b"ready\n")
    session.send(frames.SIGNAL, b"INT")
    assert session.finish()[2] == {"ExitCode": 4}


def test_death_by_a_signal_is_128_and_its_number(container):
    assert container.exec("sh", "-c", "kill -9 $$").finish()[2] == {"ExitCode": 137}


def test_a_detached_process_runs_on_without_a_client(container):
    session = container.exec("sh", "-c", "sleep 0.05; echo on >/proc/1/fd/1", detach=True)
    session.expect(frames.STARTED)
    assert session.next() is None
    wait_until(lambda: said(container, "on"))


def test_the_detach_frame_leaves_the_process_running(container):
    session = container.exec("sh", "-c", "sleep 0.05; echo on >/proc/1/fd/1")
    session.expect(frames.STARTED)
    session.send(frames.DETACH)
    assert session.next() is None
    wait_until(lambda: said(container, "on"))


def test_a_background_child_does_not_hold_up_the_end(container):
    begin = time.monotonic()
    assert container.exec("sh", "-c", "sleep 60 & echo started").finish() == (b"started\n", b"", {"ExitCode": 0})
    assert time.monotonic() - begin < 5


def test_ten_megabytes_of_output_arrive_through_a_slow_client(container):
    session = container.exec("head", "-c", "10000000", "/dev/zero")
    session.expect(frames.STARTED)
    wait_until(lambda: state(container.shim_pid) == "S")
    out, _, last = session.finish()
    assert len(out) == 10_000_000
    assert last == {"ExitCode": 0}


def test_sessions_run_side_by_side(container):
    sessions = [container.exec("sh", "-c", f"sleep 0.02; echo {number}") for number in range(20)]
    for number, session in enumerate(sessions):
        session.expect(frames.STARTED)
        assert session.finish() == (b"%d\n" % number, b"", {"ExitCode": 0})


def test_the_end_of_the_container_ends_its_sessions(container):
    session = container.exec("sleep", "60")
    session.expect(frames.STARTED)
    container.send("kill", signal=9, all=False)
    assert session.finish()[2] == {"ExitCode": 137}
    container.expect("exited")
    late = container.exec("true")
    assert json.loads(late.expect(frames.ERROR))["kind"] == "Conflict"


@pytest.mark.parametrize("payload", [b"{}", b"not json", b'{"exec": {"process": {}}}', b'{"exec": 3}'])
def test_a_malformed_request_is_answered_and_does_no_harm(container, payload):
    session = container.stream(exec={"process": {"args": []}})
    assert json.loads(session.expect(frames.ERROR))["kind"] == "InvalidParameter"
    raw = container.stream()
    assert json.loads(raw.expect(frames.ERROR))["kind"] == "InvalidParameter"
    assert container.exec("true").finish()[2] == {"ExitCode": 0}


# probes


def probe(container, *args, timeout=10, **more):
    container.send("probe", id="p", process=process(*args), timeout=timeout, **more)
    return container.expect("probe_result")


def test_a_probe_reports_code_output_and_times(container):
    result = probe(container, "sh", "-c", "echo fine; echo also >&2; exit 1")
    assert result["exit_code"] == 1
    assert result["output"] == "fine\nalso\n"
    assert result["timed_out"] is False
    assert result["start"] < result["end"]


def test_a_probe_that_says_too_much_is_read_to_its_end_and_cut(container):
    result = probe(container, "sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x; exit 0", max_output=100)
    assert result["exit_code"] == 0
    assert result["output"] == "x" * 100 + "..."


def test_a_probe_above_its_time_is_killed_with_what_it_started(container):
    script = "sleep 61 & (sleep 62 &) ; setsid sh -c 'sleep 63; :' & echo before; sleep 60"
    begin = time.monotonic()
    result = probe(container, "sh", "-c", script, timeout=0.2)
    assert time.monotonic() - begin < 5
    assert result["timed_out"] is True
    assert result["exit_code"] == -1
    assert result["output"] == "before\n"
    out = container.exec("sh", "-c", "ps -e -o args= || cat /proc/[0-9]*/cmdline").finish()[0]
    assert not [number for number in (b"sleep 60", b"sleep 61", b"sleep 62", b"sleep 63") if number in out]


def test_a_probe_that_cannot_run_says_why(container):
    result = probe(container, "nosuchprogram")
    assert result["exit_code"] == 127
    assert "nosuchprogram" in result["output"]


@pytest.mark.parametrize("more", [{}, {"timeout": 1, "process": {"args": 3}}])
def test_a_malformed_probe_is_answered_as_one_that_failed(container, more):
    container.send("probe", id="p", **more)
    result = container.expect("probe_result")
    assert (result["id"], result["exit_code"]) == ("p", -1)


def test_a_request_that_fails_is_answered_with_its_name_and_error(container):
    container.send("kill", signal="loud")
    answer = container.expect("error")
    assert (answer["request"], answer["error"]["kind"]) == ("kill", "InvalidParameter")


def test_a_probe_can_be_cancelled(container):
    container.send("probe", id="p", process=process("sleep", "60"), timeout=60)
    container.send("probe_cancel", id="p")
    assert container.expect("probe_result")["exit_code"] == 137


def test_a_probe_with_a_background_child_ends_with_its_own_process(container):
    begin = time.monotonic()
    assert probe(container, "sh", "-c", "sleep 60 & echo ok")["output"] == "ok\n"
    assert time.monotonic() - begin < 5


def test_a_probe_of_a_container_that_is_not_running_fails(rig):
    container = rig.start("true")
    container.created()
    result = probe(container, "true")
    assert result["exit_code"] == -1
    assert "not running" in result["output"]
