"""Where names of others are asked: from inside the container's own network, as Docker's resolver does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

SERVER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
print("ready", flush=True)
while True:
    query, client = s.recvfrom(999)
    question = query[12:query.index(b"\\0", 12) + 5]
    here = question[-4:-2] == b"\\0\\1"
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4" + socket.inet_aton(client[0]) if here else b""
    s.sendto(query[:2] + b"\\x81\\x80\\0\\1" + (b"\\0\\1" if here else b"\\0\\0") + b"\\0\\0\\0\\0" + question + answer, client)
"""
"""Answers every name with the address of who asks."""

ASK = """
import socket, sys
try:
    print(socket.getaddrinfo(sys.argv[1], None, socket.AF_INET)[0][4][0])
except socket.gaierror as error:
    print({socket.EAI_AGAIN: "SERVFAIL", socket.EAI_NONAME: "NXDOMAIN"}[error.errno])
"""


def test_a_server_of_the_containers_choice_is_asked_from_its_own_network(stack: Stack) -> None:
    stack.write("server.py", SERVER)
    stack.write("ask.py", ASK)
    stack.compose("""
        x-client: &client {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, volumes: ["./ask.py:/ask.py:ro"]}
        services:
          server:
            image: localhost/host
            command: python3 /server.py
            stop_signal: SIGKILL
            volumes: ["./server.py:/server.py:ro"]
            networks: {open: {ipv4_address: 10.214.81.53}, walled: {ipv4_address: 10.214.82.53}}
          open: {<<: *client, dns: 10.214.81.53, networks: [open]}
          walled: {<<: *client, dns: 10.214.82.53, networks: [walled]}
          host: {<<: *client, networks: [walled]}
        networks:
          open: {ipam: {config: [{subnet: 10.214.81.0/24}]}}
          walled: {internal: true, ipam: {config: [{subnet: 10.214.82.0/24}]}}
    """)
    stack.run("up", "-d")
    poll(lambda: "ready" in stack.run("logs", "server").out, what="the name server")

    def ask(service: str, name: str) -> str:
        return stack.exec(service, "python3", "/ask.py", name).out.strip()

    for client in ("open", "walled"):
        network = f"{stack.project}_{client}"
        address = stack.inspect(f"{client}-1")["NetworkSettings"]["Networks"][network]["IPAddress"]
        assert ask(client, "somebody.example") == address
    assert ask("host", "somebody.example") == "SERVFAIL"
    assert ask("host", "server") == "10.214.82.53"
