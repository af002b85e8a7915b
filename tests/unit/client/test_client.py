"""The client against a fake engine."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from runtime.client.attach import run
from runtime.client.client import Client
from runtime.errors import Conflict, SystemFailure, Unavailable
from runtime.paths import Paths
from runtime.wire import frames


@pytest.fixture
def client(engine):
    found = Client(engine.paths)
    yield found
    found.close()


def test_short_requests_share_one_connection(engine, client) -> None:
    client.version()
    client.version()
    client.snapshot("app", ["a:1", "b"])
    assert engine.requests[-1] == "GET /v1/snapshot?project=app&image=a%3A1&image=b"
    assert len(engine._sockets) == 1


def test_a_replaced_engine_is_asked_again_over_a_new_connection(engine, client) -> None:
    client.version()
    for sock in engine._sockets:
        sock.shutdown(2)
    assert client.version()["Pid"] == 1


def test_a_plan_is_streamed_event_by_event(engine, client) -> None:
    plan = {"project": "app", "operations": [{"id": 1, "kind": "StartContainer", "depends": [], "args": {}}]}
    events = list(client.submit(plan))
    assert [event["status"] for event in events] == ["started", "done", "finished"]
    assert engine.plans == [plan]


def test_a_plan_goes_over_the_connection_that_is_there(engine, client) -> None:
    client.open()
    assert [event["status"] for event in client.submit({"project": "app", "operations": []})] == ["finished"]
    assert len(engine._sockets) == 1


def test_a_plan_does_not_go_over_a_connection_that_the_engine_closed(engine, client) -> None:
    client.version()
    for sock in engine._sockets:
        sock.shutdown(2)
    assert [event["status"] for event in client.submit({"project": "app", "operations": []})] == ["finished"]


def test_closing_the_iterator_closes_the_connection(engine, client) -> None:
    left = threading.Event()

    def endless(exchange) -> bool:
        exchange.begin_stream()
        exchange.line({"op": 1, "status": "started"})
        if exchange.sock.recv(1) == b"":
            left.set()
        return False

    engine.routes["POST /v1/plan"] = endless
    events = client.submit({"project": "app", "operations": []})
    next(events)
    events.close()
    assert left.wait(5)


def test_abort_from_another_thread_ends_the_plan_with_unavailable(engine, client) -> None:
    def endless(exchange) -> bool:
        exchange.begin_stream()
        exchange.line({"op": 1, "status": "started"})
        exchange.sock.recv(1)
        return False

    engine.routes["POST /v1/plan"] = endless
    events = client.submit({"project": "app", "operations": []})
    next(events)
    client.abort()
    with pytest.raises(Unavailable):
        next(events)
    assert client.is_aborted


def test_errors_keep_their_kind_and_fields(engine, client) -> None:
    wire = {"kind": "Conflict", "message": "port 80 is taken", "fields": {"port": 80}}
    engine.routes["GET /v1/status"] = lambda exchange: exchange.reply(wire, 409)
    with pytest.raises(Conflict, match="port 80 is taken") as caught:
        client.status()
    assert caught.value.fields == {"port": 80}
    engine.routes["GET /v1/status"] = lambda exchange: exchange.raw(b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops")
    with pytest.raises(SystemFailure, match="engine answered 500: oops"):
        client.status()


def test_no_engine_is_unavailable_and_names_the_socket(tmp_path) -> None:
    with pytest.raises(Unavailable, match="engine is not running at"):
        Client(Paths(root=str(tmp_path), run=str(tmp_path))).version()


def test_a_socket_path_longer_than_the_kernel_takes_is_reached(tmp_path) -> None:
    from tests.kit.fakeengine import FakeEngine

    deep = FakeEngine(tmp_path / ("x" * 100) / ("y" * 100))
    try:
        with_client = Client(deep.paths)
        assert with_client.version()["Pid"] == 1
        with_client.close()
    finally:
        deep.close()


def test_events_are_there_without_waiting(engine, client) -> None:
    import select

    from tests.kit.fakeengine import container

    events = client.events("app")
    assert events.available() == []
    engine.emit("start", container("web"))
    select.select([events.fileno()], [], [], 5)
    assert [event["action"] for event in events.available()] == ["start"]
    events.close()


def upgraded(exchange, *answer: bytes) -> None:
    assert exchange.headers["upgrade"] == "pycompose-frames"
    exchange.raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n" + b"".join(answer))


def test_exec_copies_both_streams_and_returns_the_exit_code(engine, client) -> None:
    def serve(exchange) -> bool:
        upgraded(exchange, frames.encode(frames.STARTED, b'{"Pid": 7}'), frames.encode(frames.STDOUT, b"ou"))
        decoder, received = frames.Decoder(), []
        while frames.EOF not in [kind for kind, _ in received]:
            received += decoder.feed(exchange.sock.recv(100))
        text = b"".join(payload for kind, payload in received if kind == frames.STDIN)
        exchange.raw(frames.encode(frames.STDOUT, b"t:" + text) + frames.encode(frames.STDERR, b"err"))
        exchange.raw(frames.encode(frames.EXIT, b'{"ExitCode": 7}'))
        return False

    engine.routes["POST /v1/containers/web/exec"] = serve
    (stdin, feed), (out_read, out), (err_read, err) = os.pipe(), os.pipe(), os.pipe()
    os.write(feed, b"typed")
    os.close(feed)
    code = run(client.exec("web", {"Cmd": ["cat"]}), stdin=stdin, stdout=out, stderr=err, tty=False)
    assert code == 7
    assert os.read(out_read, 100) == b"out:typed"
    assert os.read(err_read, 100) == b"err"
    for fd in (stdin, out_read, out, err_read, err):
        os.close(fd)


def test_exec_raises_the_error_that_the_stream_brings(engine, client) -> None:
    wire = b'{"kind": "NotFound", "message": "exec: nosuch: not found", "fields": {"exit_code": 127}}'
    engine.routes["POST /v1/containers/web/exec"] = lambda exchange: upgraded(
        exchange, frames.encode(frames.ERROR, wire)
    )
    stream = client.exec("web", {"Cmd": ["nosuch"]})
    with pytest.raises(Exception, match="nosuch: not found"):
        run(stream, stdin=None, stdout=1, stderr=2, tty=False)


def test_a_stream_that_breaks_off_is_no_exit_code(engine, client) -> None:
    def serve(exchange) -> bool:
        upgraded(exchange, frames.encode(frames.STDOUT, b""))
        exchange.sock.shutdown(2)
        return False

    engine.routes["POST /v1/containers/web/exec"] = serve
    with pytest.raises(Unavailable):
        run(client.exec("web", {"Cmd": ["x"]}), stdin=None, stdout=1, stderr=2, tty=False)


def test_signals_are_passed_on_and_handlers_are_restored(engine, client) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def serve(exchange) -> bool:
        upgraded(exchange, frames.encode(frames.STARTED, b"{}"))
        while signal.getsignal(signal.SIGTERM) is before:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        decoder, received = frames.Decoder(), []
        while not received:
            received = decoder.feed(exchange.sock.recv(100))
        assert received == [(frames.SIGNAL, b"SIGTERM")]
        exchange.raw(frames.encode(frames.EXIT, b'{"ExitCode": 143}'))
        return False

    engine.routes["POST /v1/containers/web/exec"] = serve
    assert run(client.exec("web", {"Cmd": ["x"]}), stdin=None, stdout=1, stderr=2, tty=False) == 143
    assert signal.getsignal(signal.SIGTERM) is before
