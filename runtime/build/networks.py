"""Network namespaces for the containers of a build: asked of the engine when the first one is wanted, one at a time each.

    build -> engine   {"type": "network", "mode": "default" | "none"}
    engine -> build   {"gateway": ADDRESS, "embedded": true} + fd of the namespace | {"error": ...}

Steps that run side by side never share one, so that each may listen on the port it likes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import Unavailable, from_wire
from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket


class Network(NamedTuple):
    """A namespace with a way out; `gateway` is the host's address in it."""

    fd: int
    gateway: str
    embedded: bool
    """Whether a resolver of the engine answers at 127.0.0.11 in it."""


class Networks:
    """The namespaces of one build; without `channel` there is no engine to ask."""

    def __init__(self, channel: socket.socket | None) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._free: dict[str, list[Network]] = {"default": [], "none": []}

    def take(self, mode: str) -> Network:
        """A namespace that nobody else uses, of mode `none` with a loopback alone. Raises Unavailable, or what the engine says."""
        with self._lock:
            return self._free[mode].pop() if self._free[mode] else self._ask(mode)

    def give_back(self, mode: str, network: Network) -> None:
        """It may be used again."""
        with self._lock:
            self._free[mode].append(network)

    def _ask(self, mode: str) -> Network:
        if self._channel is None:
            raise Unavailable("build network: there is no engine to ask for one")
        try:
            seqpacket.send(self._channel, {"type": "network", "mode": mode})
            answer, fds = seqpacket.recv(self._channel)
        except (EOFError, OSError) as error:
            raise Unavailable("build network: the engine is gone") from error
        if "error" in answer:
            raise from_wire(answer["error"])
        return Network(fds[0], str(answer.get("gateway") or ""), bool(answer.get("embedded")))
