"""Read what a container writes from its attach stream, in the form of a log: for one whose driver keeps nothing.

The engine gives the stream of one run; before the first run, and after each, the next one is waited for.
"""

from __future__ import annotations

import json
import select
import time
from typing import TYPE_CHECKING

from runtime.errors import Conflict, EngineError
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.client.attach import FrameStream
    from runtime.client.client import Client
    from runtime.wire.containers import ContainerInspect

STREAMS = {frames.STDOUT: "stdout", frames.STDERR: "stderr"}
AT_ONCE = 16
"""Blocks of one reading."""


def keeps_no_log(container: ContainerInspect) -> bool:
    """Whether the container's log driver throws everything away."""
    settings = container.get("HostConfig", {}).get("LogConfig") or {}
    return settings.get("Type") == "none"


class AttachedLog:
    """A source of records like a log's; nothing of what was written before it was opened is in it."""

    def __init__(self, client: Client, container: str) -> None:
        self._client = client
        self._container = container
        self._stream = self._attach()

    def read(self) -> bytes:
        """New records; empty if there are none now."""
        found: list[bytes] = []
        for _ in range(AT_ONCE):
            stream = self._stream
            if stream is None or not (stream.has_pending or select.select([stream], [], [], 0)[0]):
                break
            received = stream.receive()
            found += [record(STREAMS[kind], payload) for kind, payload in received or () if kind in STREAMS]
            if received is None or any(kind in (frames.EXIT, frames.ERROR) for kind, _ in received):
                stream.close()
                self._stream = self._attach()
        return b"".join(found)

    def close(self) -> None:
        """Leave the container alone."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _attach(self) -> FrameStream | None:
        for before_start in (True, False):
            try:
                return self._client.attach(self._container, {"BeforeStart": before_start, "Stdin": False})
            except Conflict:
                continue  # it runs already, or no more
            except EngineError:
                break
        return None


def record(stream: str, text: bytes) -> bytes:
    """One json-file record of now."""
    now = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    data = {"log": text.decode(errors="replace"), "stream": stream, "time": f"{stamp}.{now % 1_000_000_000:09d}Z"}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
