"""Streams of clients, passed on by the engine: a stream's first frame says what it wants: the container's stdio, a process, to unpack files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.shim.connection import Connection
from runtime.wire import frames

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from runtime.shim.loop import Loop

START_SECONDS = 10.0
"""A connection that has not said START by then is closed."""

LINGER_SECONDS = 60.0
"""How long a client may take nothing before it is left with what it was still owed."""

PARTING_SECONDS = 2.0
"""How long one may take to close its side after the end of its stream."""

_LOOK_SECONDS = 0.05


class AttachServer:
    """The handlers (client, request) take the connection over; they may raise EngineError, OSError."""

    __slots__ = ("_clients", "_loop", "_on_archive", "_on_attach", "_on_exec", "_waiting")

    def __init__(
        self,
        loop: Loop,
        on_attach: Callable[[Connection, dict[str, Any]], None],
        on_exec: Callable[[Connection, dict[str, Any]], None],
        on_archive: Callable[[Connection, dict[str, Any]], None],
    ) -> None:
        self._loop = loop
        self._on_attach = on_attach
        self._on_exec = on_exec
        self._on_archive = on_archive
        self._waiting: set[Connection] = set()
        self._clients: list[Connection] = []

    def serve(self, sock: _socket.socket) -> None:
        """Take a client's stream over."""
        client = Connection(self._loop, sock)
        self._clients = [known for known in self._clients if not known.closed]
        self._clients.append(client)
        self._waiting.add(client)
        client.on_frame = lambda kind, payload: self._first(client, kind, payload)
        client.on_close = lambda: self._waiting.discard(client)
        self._loop.later(START_SECONDS, lambda: self._expire(client))

    def drain(self, done: Callable[[], None]) -> None:
        """Call `done` when the clients have all of their output, or take no more of it."""
        self._drain(done, 0, LINGER_SECONDS)

    def _drain(self, done: Callable[[], None], before: int, left: float) -> None:
        """`before`: bytes that were waiting at the last look, `left`: seconds without progress that remain."""
        if left <= 0 or all(client.closed for client in self._clients):
            done()
            return
        backlog = sum(client.size for client in self._clients)
        left = left - _LOOK_SECONDS if backlog == before else LINGER_SECONDS
        if not backlog:
            left = min(left, PARTING_SECONDS)
        self._loop.later(_LOOK_SECONDS, lambda: self._drain(done, backlog, left))

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
            elif "archive" in request:
                self._on_archive(client, request["archive"])
            else:
                self._on_exec(client, request["exec"])
        except EngineError as error:
            client.finish(frames.ERROR, error.to_wire())
        except OSError as error:
            client.finish(frames.ERROR, SystemFailure(f"stream: {(error.strerror or str(error)).lower()}").to_wire())
        except (KeyError, TypeError, ValueError) as error:
            client.finish(frames.ERROR, InvalidParameter(f"attach request: malformed, {error!r}").to_wire())

    @staticmethod
    def _parse(kind: int, payload: bytes) -> dict[str, Any]:
        if kind != frames.START:
            raise InvalidParameter("attach request: the first frame is not START")
        request = json.loads(payload)
        if not isinstance(request, dict) or not (
            request.get("attach") or any(isinstance(request.get(kind), dict) for kind in ("archive", "exec"))
        ):
            raise InvalidParameter("attach request: neither attach nor archive nor exec")
        return request


def _ignore() -> None:
    return
