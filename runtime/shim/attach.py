"""The attach socket: each connection's first frame says whether it wants the container's stdio or a process of its own."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.shim.connection import Connection
from runtime.shim.loop import READ
from runtime.wire import frames, unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.shim.loop import Loop

START_SECONDS = 10.0
"""A connection that has not said START by then is closed."""


class AttachServer:
    """on_attach(client, request) and on_exec(client, request) take the connection over; they may raise EngineError, OSError."""

    __slots__ = ("_loop", "_on_attach", "_on_exec", "_server", "_waiting")

    def __init__(
        self,
        loop: Loop,
        path: str,
        on_attach: Callable[[Connection, dict[str, Any]], None],
        on_exec: Callable[[Connection, dict[str, Any]], None],
    ) -> None:
        """Raises OSError when `path` cannot be bound."""
        self._loop = loop
        self._on_attach = on_attach
        self._on_exec = on_exec
        self._waiting: set[Connection] = set()
        self._server = unixsocket.listen(path, socket.SOCK_STREAM, backlog=128)
        loop.watch(self._server.fileno(), READ, self._accept)

    def _accept(self, events: int) -> None:
        sock, _ = self._server.accept()
        client = Connection(self._loop, sock)
        self._waiting.add(client)
        client.on_frame = lambda kind, payload: self._first(client, kind, payload)
        client.on_close = lambda: self._waiting.discard(client)
        self._loop.later(START_SECONDS, lambda: self._expire(client))

    def _expire(self, client: Connection) -> None:
        if client in self._waiting:
            client.close()

    def _first(self, client: Connection, kind: int, payload: bytes) -> None:
        self._waiting.discard(client)
        client.on_close = _ignore
        try:
            request = self._parse(kind, payload)
            if request.get("attach"):
                self._on_attach(client, request)
            else:
                self._on_exec(client, request["exec"])
        except EngineError as error:
            client.finish(frames.ERROR, error.to_wire())
        except OSError as error:
            client.finish(frames.ERROR, SystemFailure(f"exec: {(error.strerror or str(error)).lower()}").to_wire())
        except (KeyError, TypeError, ValueError) as error:
            client.finish(frames.ERROR, InvalidParameter(f"attach request: malformed, {error!r}").to_wire())

    @staticmethod
    def _parse(kind: int, payload: bytes) -> dict[str, Any]:
        if kind != frames.START:
            raise InvalidParameter("attach request: the first frame is not START")
        request = json.loads(payload)
        if not isinstance(request, dict) or not (request.get("attach") or isinstance(request.get("exec"), dict)):
            raise InvalidParameter("attach request: neither attach nor exec")
        return request


def _ignore() -> None:
    return
