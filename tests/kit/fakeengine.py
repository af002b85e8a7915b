"""A stand-in for the engine: answers HTTP over a unix socket from a table, in threads, for tests of the client."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from runtime.paths import Paths
from runtime.version import PROTOCOL, VERSION
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTAINER_ID = "c" * 64


class Exchange:
    """One request and ways to answer it."""

    def __init__(self, sock: socket.socket, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.sock = sock
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body or b"null")

    def reply(self, data: Any, status: int = 200) -> None:
        payload = json.dumps(data).encode()
        self.raw(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)

    def begin_stream(self) -> None:
        self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def line(self, data: Any) -> None:
        self.chunk(json.dumps(data).encode() + b"\n")

    def end_stream(self) -> None:
        self.raw(b"0\r\n\r\n")

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)


class FakeEngine:
    """Serves `routes`: `"GET /v1/x"` to data to reply with, or to a function that is given the exchange."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(root=str(folder / "data"), run=str(folder / "run"))
        os.makedirs(self.paths.run, exist_ok=True)
        self.routes: dict[str, Any] = {"GET /v1/version": {"Version": VERSION, "Protocol": PROTOCOL, "Pid": 1}}
        self.requests: list[str] = []
        self.bodies: list[Any] = []
        self.plans: list[Any] = []
        self.containers: list[dict[str, Any]] = []
        self.images: dict[str, Any] = {}
        self.generation = "x.0"
        self.state_after: Callable[[dict[str, Any]], None] = lambda _operation: None
        self._events: list[Exchange] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = unixsocket.listen(self.paths.engine_socket)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.routes.update(
            {
                "GET /v1/snapshot": lambda x: x.reply(self._snapshot()),
                "GET /v1/containers": lambda x: x.reply(self._listed(x)),
                "POST /v1/plan": self._plan,
                "GET /v1/events": self._subscribe,
            }
        )

    def emit(self, action: str, container: dict[str, Any], **attributes: Any) -> None:
        """Tell an event of a container to all who listen."""
        labels = container["Config"]["Labels"]
        event = {
            "time": "2026-01-02T03:04:05.123456789Z",
            "type": "container",
            "action": action,
            "id": container["Id"],
            "attributes": {**labels, "name": container["Name"][1:], **attributes},
        }
        with self._lock:
            for exchange in self._events:
                exchange.line(event)

    @property
    def listeners(self) -> int:
        """How many listen to events."""
        return len(self._events)

    def close(self) -> None:
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(5)
        for sock in self._sockets:
            sock.close()

    # --- what is answered

    def _snapshot(self) -> dict[str, Any]:
        return {
            "Containers": self.containers,
            "Networks": [],
            "Volumes": [],
            "Images": self.images,
            "Generation": self.generation,
        }

    def _listed(self, exchange: Exchange) -> list[dict[str, Any]]:
        everything = "all=1" in exchange.query
        return [each for each in self.containers if everything or each["State"]["Status"] == "running"]

    def _plan(self, exchange: Exchange) -> None:
        plan = exchange.json()
        self.plans.append(plan)
        exchange.begin_stream()
        for operation in plan["operations"]:
            exchange.line({"op": operation["id"], "status": "started", "at": 0.0})
            self.state_after(operation)
            exchange.line({"op": operation["id"], "status": "done", "at": 0.1})
        exchange.line({"status": "finished"})
        exchange.end_stream()

    def _subscribe(self, exchange: Exchange) -> None:
        with self._lock:  # whoever has the head is listened to
            exchange.begin_stream()
            self._events.append(exchange)

    # --- connections

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = self._receive(sock)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            while len(buffer) < int(headers.get("content-length", 0)):
                buffer += self._receive(sock)
            length = int(headers.get("content-length", 0))
            exchange = Exchange(sock, method, target, headers, buffer[:length])
            buffer = buffer[length:]
            self.requests.append(f"{method} {target}")
            self.bodies.append(exchange.json() if exchange.body else None)
            if not self._answer(exchange):
                return

    def _answer(self, exchange: Exchange) -> bool:
        """Answer; false if the handler keeps the connection."""
        route = self.routes.get(f"{exchange.method} {exchange.path}")
        try:
            if route is None:
                exchange.reply({"kind": "NotFound", "message": f"no such endpoint: {exchange.path}"}, 404)
            elif callable(route):
                return route(exchange) is not False
            else:
                exchange.reply(route)
        except OSError:
            return False  # the client left
        return True

    def _receive(self, sock: socket.socket) -> bytes:
        try:
            return sock.recv(65536)
        except OSError:
            return b""


def container(
    service: str, number: int = 1, *, project: str = "app", status: str = "running", **state: Any
) -> dict[str, Any]:
    """An inspected container as the engine gives it."""
    identity = f"{service}{number}".encode().hex().ljust(64, "0")
    return {
        "Id": identity,
        "Name": f"/{project}-{service}-{number}",
        "Created": "2026-01-02T03:04:00Z",
        "Path": "sleep",
        "Args": ["1000"],
        "Image": "sha256:" + "1" * 64,
        "LogPath": "",
        "State": {"Status": status, "ExitCode": 0, "StartedAt": "2026-01-02T03:04:00Z", **state},
        "Config": {
            "Image": "localhost/host",
            "Labels": {
                "com.docker.compose.project": project,
                "com.docker.compose.service": service,
                "com.docker.compose.container-number": str(number),
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.config-hash": "x",
            },
        },
        "HostConfig": {},
        "NetworkSettings": {"Ports": {}, "Networks": {f"{project}_default": {}}},
        "Mounts": [],
    }
