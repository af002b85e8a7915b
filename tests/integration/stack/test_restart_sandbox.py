"""A restart keeps the sandbox: namespace, addresses and reserved ports, also for those who share it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.ours]

SERVER = """
import http.server, socketserver
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


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
