"""Tell what a build does: vertices that begin, print, are found in the cache, end or fail, each with its times.

Text that a command prints is passed on at once, cut only at what one event can hold.
"""

from __future__ import annotations

import codecs
import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Emit = Callable[[dict[str, Any]], None]
    """Takes an event: `vertex` (its number), `event` (start, cached, done, failed, canceled, log, status, warning), and
    with them `name`, `text`, `seconds`."""

KEPT: Final = 100
"""Lines of a vertex's output that are kept for the message when it fails."""


class Vertex:
    """One thing that is done, as the user sees it."""

    def __init__(self, emit: Emit, number: int, name: str) -> None:
        self._emit = emit
        self.number = number
        self.name = name
        self._began = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._partial = ""
        self.ended = False
        self._say("start", name=name)

    def log(self, data: bytes) -> None:
        """What its command printed."""
        text = self._decoder.decode(data)
        if not text:
            return
        *lines, self._partial = (self._partial + text).split("\n")
        seconds = time.monotonic() - self._began
        self._lines.extend(f"{seconds:.3f} {line}" for line in lines)
        self._say("log", text=text)

    def status(self, text: str, *, done: bool = False) -> None:
        """A line about its progress."""
        self._say("status", text=f"{text} done" if done else text)

    def cached(self) -> None:
        """Its result was there."""
        self._end("cached")

    def done(self) -> None:
        """It ended well."""
        self._end("done")

    def failed(self, message: str) -> None:
        """It failed."""
        self._end("failed", text=message)

    def canceled(self) -> None:
        """It was given up because something else failed."""
        self._end("canceled")

    @property
    def output(self) -> list[str]:
        """The last lines of what it printed, each behind its time."""
        rest = [f"{time.monotonic() - self._began:.3f} {self._partial}"] if self._partial else []
        return [*self._lines, *rest]

    def _end(self, event: str, **fields: Any) -> None:
        if not self.ended:
            self.ended = True
            self._say(event, **fields)

    def _say(self, event: str, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._began, 4)
        self._emit({"vertex": self.number, "event": event, "seconds": seconds, **fields})


class Progress:
    """Makes the vertices of a build; `emit` may be called from any thread."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def vertex(self, name: str) -> Vertex:
        """A vertex that begins now."""
        with self._lock:
            return Vertex(self._emit, next(self._numbers), name)

    def warning(self, rule: str, text: str, line: int) -> None:
        """A finding about the Dockerfile."""
        self._emit({"vertex": 0, "event": "warning", "rule": rule, "text": text, "line": line})
