"""The event stream of a worker: newline-delimited JSON, progress thinned out so that the reader is never flooded."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from runtime.linux import atomicfile

if TYPE_CHECKING:
    from runtime.errors import EngineError

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_INTERVAL: Final = 0.1
"""Seconds between two progress events of one text."""


class Events:
    """Writes events to a descriptor, from any thread; raises BrokenPipeError once nobody reads them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._text = ""
        self._due = 0.0
        self._layers: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self.has_failed = False

    def progress(self, text: str, current: int, total: int) -> None:
        """How far the job is: bytes so far and in all (0: unknown). Most calls write nothing."""
        now = time.monotonic()
        if text == self._text and now < self._due:
            return
        self._text, self._due = text, now + _INTERVAL
        self._write({"status": "progress", "text": text, "current": current, "total": total})

    def layer(self, layer: str, text: str, current: int, total: int) -> None:
        """How far one of several things is that go on side by side; each is thinned out for itself."""
        now = time.monotonic()
        last, due = self._layers.get(layer, ("", 0.0))
        if text == last and now < due:
            return
        self._layers[layer] = (text, now + _INTERVAL)
        self._write({"status": "progress", "id": layer, "text": text, "current": current, "total": total})

    def warning(self, text: str) -> None:
        """Something the user should know; the job goes on."""
        self._write({"status": "warning", "text": text})

    def loaded(self, image_id: str, tags: list[str], replaced: dict[str, str]) -> None:
        """An image of an archive is there; `replaced`: the tags that another image had, and its id."""
        self._write({"status": "loaded", "Id": image_id, "Tags": tags, "Replaced": replaced})

    def vertices(self, events: list[dict[str, Any]]) -> None:
        """Something happened to steps of a build."""
        self._write(*({"status": "vertex", "vertex": event} for event in events))

    def finished(self, result: dict[str, Any]) -> None:
        """The last event of a job that did what was asked."""
        self._write({"status": "finished", "result": result, **result})

    def failed(self, error: EngineError) -> None:
        """The last event of a job that did not."""
        self.has_failed = True
        self._write({"status": "failed", "error": error.to_wire()})

    def _write(self, *events: dict[str, Any]) -> None:
        lines = "".join([f"{_encode(event)}\n" for event in events]).encode()
        with self._lock:
            atomicfile.write_all(self._fd, lines)
