"""A restart keeps the sandbox: namespace, addresses and reserved ports, also for those who share it."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from runtime.client.client import Client
from runtime.errors import EngineError
from runtime.paths import Paths
from tests.kit import machine
from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    import subprocess

    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.ours]

SERVER = """
import http.server, socketserver
socketserver.TCPServer(("", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
"""It does not set SO_REUSEADDR."""
FLOOD = """
import socket
server = socket.socket()
server.bind(("", 8000))
server.listen()
while True:
    client, _ = server.accept()
    client.sendall(b"x" * (1 << 26))
"""
ECHO = """
import socket
server = socket.create_server(("", 9000))
while True:
    client, _ = server.accept()
    while text := client.recv(100):
        client.sendall(text)
"""
STUBBORN = "sh -c \"trap '' TERM; while :; do sleep 0.05; done\""


def _namespace(stack: Stack, name: str) -> str:
    return os.readlink(f"/proc/{stack.inspect(name)['State']['Pid']}/ns/net")


def _answers(stack: Stack, port: int) -> bool:
    try:
        return bool(stack.http(port))
    except OSError:
        return False


def _up(stack: Stack) -> int:
    port = free_port()
    stack.write("server.py", SERVER)
    stack.compose(f"""
        services:
          web:
            image: localhost/host
            command: python3 /server.py
            init: true
            volumes: ["./server.py:/server.py:ro"]
            ports: ["{port}:8000"]
          beside: {{image: localhost/host, command: sleep 1000, init: true, network_mode: "service:web"}}
          peer: {{image: localhost/host, command: sleep 1000, init: true}}
    """)
    stack.run("up", "-d")
    poll(lambda: _answers(stack, port), what="the published port")
    return port


def test_a_restart_keeps_namespace_address_port_and_name(stack: Stack) -> None:
    port = _up(stack)
    before, settings = _namespace(stack, "web-1"), stack.inspect("web-1")["NetworkSettings"]
    pid = stack.inspect("web-1")["State"]["Pid"]
    stack.run("restart", "-t", "2", "web")
    assert stack.inspect("web-1")["State"]["Pid"] != pid
    assert _namespace(stack, "web-1") == before == _namespace(stack, "beside-1")
    assert stack.inspect("web-1")["NetworkSettings"] == settings
    poll(lambda: _answers(stack, port), what="the published port after the restart")
    assert stack.exec("peer", "getent", "hosts", "web").out
    assert stack.exec("beside", "getent", "hosts", "peer").out


@pytest.mark.parametrize("by", ["hand", "policy"])
def test_a_connection_to_who_shares_the_network_survives_the_restart_of_its_owner(stack: Stack, by: str) -> None:
    stack.write("echo.py", ECHO)
    web = "web: {image: localhost/host, command: sleep 1000, init: true, restart: always}"
    stack.compose(f"services: {{{web}}}")
    stack.run("up", "-d")
    beside = f"""
        image: localhost/host
        command: python3 /echo.py
        network_mode: "container:{stack.project}-web-1"
        volumes: ["./echo.py:/echo.py:ro"]
        stop_signal: SIGKILL
    """
    stack.compose(f"services:\n    {web}\n    beside:{beside}")
    stack.run("up", "-d")
    pid, address = _pid(stack, "web-1"), _address(stack, "web-1")
    with _connected(address, 9000) as client, _connected(address, 9000) as second:  # the second waits to be accepted
        assert _echoed(client)
        second.sendall(b"2")
        if by == "hand":
            stack.run("restart", "-t", "2", "web")
        else:
            os.kill(pid, 9)
            poll(lambda: _pid(stack, "web-1") not in {0, pid}, what="its policy acts")
        assert _echoed(client)
        client.close()
        assert second.recv(1) == b"2"


@pytest.mark.parametrize("by", ["hand", "policy"])
def test_a_port_is_free_for_the_next_program_though_connections_to_the_last_one_linger(stack: Stack, by: str) -> None:
    stack.write("server.py", SERVER)
    stack.compose("""
        services:
          web:
            image: localhost/host
            command: python3 /server.py
            init: true
            restart: always
            volumes: ["./server.py:/server.py:ro"]
    """)
    stack.run("up", "-d")
    before, pid = _namespace(stack, "web-1"), _pid(stack, "web-1")
    clients = [_connected(_address(stack, "web-1")) for _ in range(3)]
    try:
        if by == "hand":
            stack.run("restart", "-t", "2", "web")
        else:
            os.kill(pid, 9)
            poll(lambda: _pid(stack, "web-1") not in {0, pid}, what="its policy acts")
        clients.append(_connected(_address(stack, "web-1")))
        assert _namespace(stack, "web-1") == before
        assert stack.inspect("web-1")["RestartCount"] == (1 if by == "policy" else 0)
    finally:
        for client in clients:
            client.close()


def test_what_cannot_be_cleared_or_may_be_changed_makes_way_for_a_new_sandbox(stack: Stack) -> None:
    stack.write("flood.py", FLOOD)
    stack.compose("""
        x-base: &base {image: localhost/host, command: sleep 1000, init: true, stop_signal: SIGKILL}
        services:
          flood:
            <<: *base
            command: python3 /flood.py
            volumes: ["./flood.py:/flood.py:ro"]
          router: {<<: *base, cap_add: [NET_ADMIN]}
    """)
    stack.run("up", "-d")
    stack.exec("router", "ip", "address", "add", "192.0.2.9/32", "dev", "lo")
    links = len(machine.links(stack.engine_id()[:4]))
    held = [os.open(f"/proc/{_pid(stack, name)}/ns/net", os.O_RDONLY) for name in ("flood-1", "router-1")]
    client = _connected(_address(stack, "flood-1"))
    try:
        time.sleep(0.1)  # its window closes
        stack.run("restart")
        for name, fd in zip(("flood-1", "router-1"), held, strict=True):
            assert _namespace(stack, name) != f"net:[{os.fstat(fd).st_ino}]"
        assert "192.0.2.9" not in stack.exec("router", "ip", "address").out
        with _connected(_address(stack, "flood-1")) as fresh:
            assert fresh.recv(1) == b"x"
            assert len(machine.links(stack.engine_id()[:4])) == links
            stack.run("stop", "flood")
            poll(lambda: len(machine.links(stack.engine_id()[:4])) == links - 1, what="the interface is taken down")
    finally:
        client.close()
        for fd in held:
            os.close(fd)


def test_networks_that_change_while_it_is_kept_are_there_afterwards(stack: Stack) -> None:
    with _Kept(stack, first="one", second="two") as kept:
        before = stack.inspect("kept-1")
        assert before["State"]["Status"] == "exited"
        kept.do("ConnectNetwork", Network=f"{stack.project}_two")
        kept.do("DisconnectNetwork", Network=f"{stack.project}_one")
        kept.do("ConnectNetwork", Network=f"{stack.project}_three")
        assert kept.finish() == 0
    assert _namespace(stack, "kept-1") == kept.namespace
    settings = stack.inspect("kept-1")["NetworkSettings"]["Networks"]
    assert set(settings) == {f"{stack.project}_two", f"{stack.project}_three"}
    assert stack.exec("kept", "ls", "/sys/class/net").out.split() == ["eth0", "eth1", "lo"]
    assert stack.exec("kept", "getent", "hosts", "slow").out
    route = stack.exec("kept", "ip", "route", "show", "default").out
    assert route.split()[2] == settings[f"{stack.project}_two"]["Gateway"]


def test_a_removal_while_it_is_kept_leaves_nothing(stack: Stack) -> None:
    with _Kept(stack) as kept:
        kept.do("RemoveContainer", Force=True)
        assert kept.finish() == 1
        assert "no such container" in kept.error.lower()
    assert "kept-1" not in stack.containers()
    poll(lambda: kept.inode not in _namespaces_held(stack), what="the namespace let go")


@pytest.mark.parametrize("which", ["engine", "both"])
def test_a_killed_engine_leaves_a_true_state_and_the_restart_goes_on(stack: Stack, which: str) -> None:
    with _Kept(stack) as kept:
        status = stack.status()
        for pid in [status["Zygote"], status["Pid"]] if which == "both" else [status["Pid"]]:
            os.kill(pid, 9)
        assert kept.finish() == 0
    assert "engine went away" in kept.error
    assert stack.states() == {"kept-1": "running", "slow-1": "running"}
    held = {int(_namespace(stack, name)[5:-1]) for name in ("kept-1", "slow-1")}
    assert _namespaces_held(stack) == held
    assert stack.exec("kept", "getent", "hosts", "slow").out
    stack.run("stop", "-t", "0")
    assert _namespaces_held(stack) == set()


def test_a_client_that_leaves_while_it_is_kept_leaves_no_sandbox(stack: Stack) -> None:
    with _Kept(stack) as kept:
        kept.process.kill()
        kept.finish()
    poll(lambda: kept.inode not in _namespaces_held(stack), what="the namespace let go")
    assert stack.states() == {"kept-1": "exited", "slow-1": "exited"}


def test_who_shares_the_network_of_a_stopped_container_keeps_it_over_the_loss_of_our_processes(stack: Stack) -> None:
    _up(stack)
    stack.run("stop", "-t", "2", "web")
    before, status = _namespace(stack, "beside-1"), stack.status()
    for pid in (status["Zygote"], status["Pid"]):
        os.kill(pid, 9)
    poll(lambda: _answers_status(stack, status["Pid"]), what="an engine is back by itself")
    assert stack.exec("beside", "getent", "hosts", "peer").out
    assert stack.exec("peer", "getent", "hosts", "web", ok=False).code
    stack.run("start", "web")
    assert _namespace(stack, "web-1") == before == _namespace(stack, "beside-1")
    assert stack.exec("peer", "getent", "hosts", "web").out


def test_stop_and_start_make_a_new_sandbox(stack: Stack) -> None:
    _up(stack)
    held = os.open(f"/proc/{stack.inspect('peer-1')['State']['Pid']}/ns/net", os.O_RDONLY)
    try:  # held, or the kernel may give its number to the next one
        stack.run("stop", "-t", "2", "peer")
        stack.run("start", "peer")
        assert os.stat(f"/proc/{stack.inspect('peer-1')['State']['Pid']}/ns/net").st_ino != os.fstat(held).st_ino
    finally:
        os.close(held)


def test_a_restart_that_fails_leaves_no_sandbox(stack: Stack) -> None:
    folder = stack.folder / "program"
    folder.mkdir(parents=True)
    (folder / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (folder / "run").chmod(0o755)
    stack.compose("""
        services:
          a: {image: localhost/host, command: /program/run, init: false, volumes: ["./program:/program:ro"]}
    """)
    stack.run("up", "-d")
    inode = os.stat(f"/proc/{stack.inspect('a-1')['State']['Pid']}/ns/net").st_ino
    assert inode in _namespaces_held(stack)
    (folder / "run").unlink()
    stack.run("restart", "-t", "0", ok=False)
    poll(lambda: inode not in _namespaces_held(stack), what="the namespace let go")


def _namespaces_held(stack: Stack) -> set[int]:
    """Inodes of the network namespaces of which engine or zygote hold a descriptor."""
    found = set()
    status = stack.status()
    for pid in (status["Pid"], status["Zygote"]):
        folder = f"/proc/{pid}/fd"
        for name in os.listdir(folder):
            try:
                target = os.readlink(f"{folder}/{name}")
                if target.startswith("net:["):
                    found.add(int(target[5:-1]))
            except FileNotFoundError:
                continue
    return found


class _Kept:
    """A restart in the middle: `kept` has ended and is to start after `slow`, which has not ended yet."""

    def __init__(self, stack: Stack, first: str = "default", second: str = "default") -> None:
        self.stack = stack
        self.error = ""
        networks = {"default": "{}"} if first == "default" else dict.fromkeys((first, second, "three"), "{}")
        stack.compose(f"""
            services:
              slow:
                image: localhost/host
                command: {STUBBORN}
                stop_grace_period: 0s
                networks: [{", ".join(networks)}]
              kept:
                image: localhost/host
                command: sleep 1000
                init: true
                depends_on: {{slow: {{condition: service_started, restart: true}}}}
                networks: [{first}]
            networks: {{{", ".join(f"{name}: {text}" for name, text in networks.items())}}}
        """)
        stack.run("up", "-d")
        self.id = stack.inspect("kept-1")["Id"]
        self.namespace = _namespace(stack, "kept-1")
        self.inode = int(self.namespace[5:-1])

    def __enter__(self) -> Self:
        self.process: subprocess.Popen[str] = self.stack.start("restart", "-t", "2")
        poll(lambda: self.stack.inspect("kept-1")["State"]["Status"] == "exited", what="it has ended")
        assert self.inode in _namespaces_held(self.stack)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def do(self, kind: str, **args: Any) -> None:
        """One operation on `kept`, by a plan that waits for no other."""
        client = Client(Paths(str(self.stack.root / "data"), str(self.stack.root / "run")))
        operation: Any = {"id": 1, "kind": kind, "resource": "kept", "args": {"Container": self.id, **args}}
        try:
            events = list(client.submit({"project": "", "operations": [operation]}))  # type: ignore[typeddict-item]
        finally:
            client.close()
        assert "error" not in events[-1], events

    def finish(self) -> int:
        """The exit code of the command."""
        _, self.error = self.process.communicate(timeout=30)
        return self.process.returncode


def _pid(stack: Stack, name: str) -> int:
    return int(stack.inspect(name)["State"]["Pid"])


def _address(stack: Stack, name: str) -> str:
    networks = stack.inspect(name)["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def _connected(address: str, port: int = 8000) -> socket.socket:
    """A connection, as soon as somebody listens there."""

    def attempt() -> socket.socket | None:
        try:
            return socket.create_connection((address, port), timeout=5)
        except ConnectionRefusedError:
            return None

    made: socket.socket = poll(attempt, what=f"somebody listens at {address}")
    return made


def _echoed(client: socket.socket) -> bool:
    client.sendall(b"1")
    return client.recv(1) == b"1"


def _answers_status(stack: Stack, old: int) -> bool:
    try:
        return bool(stack.status()["Pid"] != old)
    except (EngineError, OSError):
        return False
