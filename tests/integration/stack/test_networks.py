"""Names, addresses, ports and walls between networks."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

SERVER = """
import http.server, os, socket
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (socket.gethostname() + " " + self.client_address[0]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("", 8000), H).serve_forever()
"""

RESOLVE = "import socket,sys; print(' '.join(sorted({i[4][0] for i in socket.getaddrinfo(sys.argv[1], None, socket.AF_INET)})))"


def resolve(stack: Stack, service: str, name: str, *, ok: bool = True) -> list[str]:
    return stack.exec(service, "python3", "-c", RESOLVE, name, ok=ok).out.split()


def test_names_aliases_and_replicas_resolve(stack: Stack) -> None:
    stack.compose("""
        services:
          web:
            image: localhost/host
            command: sleep 1000
            scale: 3
            networks: {default: {aliases: [www]}}
          client:
            image: localhost/host
            command: sleep 1000
    """)
    stack.run("up", "-d")
    addresses = sorted(
        stack.inspect(f"web-{number}")["NetworkSettings"]["Networks"][f"{stack.project}_default"]["IPAddress"]
        for number in (1, 2, 3)
    )
    assert resolve(stack, "client", "web") == addresses
    assert resolve(stack, "client", "www") == addresses
    assert resolve(stack, "client", f"{stack.project}-web-2") == [
        stack.inspect("web-2")["NetworkSettings"]["Networks"][f"{stack.project}_default"]["IPAddress"]
    ]
    back = stack.exec("client", "python3", "-c", f"import socket; print(socket.gethostbyaddr('{addresses[0]}')[0])").out
    assert f"{stack.project}-web-" in back
    assert resolve(stack, "client", "nosuchname.invalid", ok=False) == []


def test_networks_are_walls(stack: Stack) -> None:
    stack.write("server.py", SERVER)
    stack.compose("""
        services:
          a: {image: localhost/host, command: python3 /server.py, networks: [left], volumes: ["./server.py:/server.py:ro"]}
          b: {image: localhost/host, command: sleep 1000, networks: [right]}
          c: {image: localhost/host, command: sleep 1000, networks: [left, right]}
        networks: {left: {}, right: {}}
    """)
    stack.run("up", "-d")
    address = stack.inspect("a-1")["NetworkSettings"]["Networks"][f"{stack.project}_left"]["IPAddress"]
    fetch = f"import urllib.request as u; print(u.urlopen('http://{address}:8000', timeout=2).read())"
    poll(lambda: stack.exec("c", "python3", "-c", fetch, ok=False).code == 0, what="c reaches a")
    assert stack.exec("b", "python3", "-c", fetch, ok=False).code != 0
    assert resolve(stack, "c", "a") == [address]
    assert resolve(stack, "b", "a", ok=False) == []


@pytest.mark.ours
def test_a_published_port_answers_on_every_way_in_and_spreads_over_replicas(stack: Stack) -> None:
    port = free_port()
    stack.write("server.py", SERVER)
    stack.compose(f"""
        services:
          web:
            image: localhost/host
            command: python3 /server.py
            volumes: ["./server.py:/server.py:ro"]
            scale: 3
            ports: ["{port}:8000"]
            healthcheck:
              test: python3 -c "import socket; socket.create_connection(('127.0.0.1', 8000), 1)"
              start_period: 10s
              start_interval: 100ms
    """)
    stack.run("up", "-d", "--wait")
    answers = {stack.http(port).split()[0] for _ in range(12)}
    assert len(answers) == 3
    assert stack.http(port, host="::1")
    row = next(row for row in stack.ps() if row["Name"].endswith("web-1"))
    assert f"0.0.0.0:{port}->8000/tcp" in row["Ports"]
    gone = stack.inspect("web-2")["Config"]["Hostname"]
    stack.run("scale", "web=1")
    assert {stack.http(port).split()[0] for _ in range(6)} == answers - {
        gone,
        *(answers - {stack.inspect("web-1")["Config"]["Hostname"]}),
    }


def test_a_udp_port_is_published(stack: Stack) -> None:
    port = free_port(socket.SOCK_DGRAM)
    stack.write(
        "echo.py",
        "import socket\ns=socket.socket(2,2); s.bind(('',9000))\nwhile 1:\n d,a=s.recvfrom(999); s.sendto(d.upper(),a)\n",
    )
    stack.compose(f"""
        services:
          echo: {{image: localhost/host, command: python3 /echo.py, volumes: ["./echo.py:/echo.py:ro"], ports: ["127.0.0.1:{port}:9000/udp"]}}
    """)
    stack.run("up", "-d")

    def ask() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.sendto(b"hello", ("127.0.0.1", port))
            try:
                return client.recv(99)
            except TimeoutError:
                return b""

    assert poll(ask, what="an answer over UDP") == b"HELLO"


@pytest.mark.ours
def test_a_taken_port_is_named_with_its_holder_and_nothing_is_left_half_done(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        stack.compose(f"""
            services:
              web: {{image: localhost/host, command: sleep 1000, ports: ["{port}:80"]}}
        """)
        failed = stack.run("up", "-d", ok=False)
        assert failed.code == 1
        assert f":{port} failed: port is already allocated" in failed.err
        assert "python" in failed.err
    stack.run("up", "-d")
    assert stack.states() == {"web-1": "running"}


def test_the_container_may_serve_dns_itself(stack: Stack) -> None:
    stack.compose("""
        services:
          own: {image: localhost/host, command: 'python3 -c "import socket,time; s=socket.socket(2,2); s.bind((\\"0.0.0.0\\",53)); print(\\"bound\\", flush=True); time.sleep(999)"'}
    """)
    stack.run("up", "-d")
    poll(lambda: "bound" in stack.run("logs", "own").out, what="port 53 bound")


def test_host_and_none_networks(stack: Stack) -> None:
    stack.compose("""
        services:
          host: {image: localhost/host, command: sleep 1000, network_mode: host}
          none: {image: localhost/host, command: sleep 1000, network_mode: none}
          main: {image: localhost/host, command: sleep 1000}
          side: {image: localhost/host, command: sleep 1000, network_mode: "service:main"}
    """)
    stack.run("up", "-d")
    links = "import os; print(' '.join(sorted(os.listdir('/sys/class/net'))))"
    assert stack.exec("none", "python3", "-c", links).out.split() == ["lo"]
    assert len(stack.exec("host", "python3", "-c", links).out.split()) > 1
    assert stack.exec("main", "readlink", "/proc/1/ns/net").out == stack.exec("side", "readlink", "/proc/1/ns/net").out


def test_addresses_and_names_of_the_users_choice(stack: Stack) -> None:
    stack.compose("""
        services:
          fixed:
            image: localhost/host
            command: sleep 1000
            hostname: chosen
            mac_address: 02:42:00:00:00:99
            extra_hosts: ["elsewhere:10.1.2.3"]
            networks: {lan: {ipv4_address: 10.213.77.9}}
        networks: {lan: {ipam: {config: [{subnet: 10.213.77.0/24, gateway: 10.213.77.1}]}}}
    """)
    stack.run("up", "-d")
    assert stack.exec("fixed", "hostname").out == "chosen\n"
    assert resolve(stack, "fixed", "elsewhere") == ["10.1.2.3"]
    assert "10.213.77.9" in stack.exec("fixed", "hostname", "-I").out
