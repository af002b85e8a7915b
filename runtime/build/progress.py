"""Tell what a build does: vertices that begin, print, are found in the cache, end or fail, each with its times.

Text that a command prints is passed on at once, cut only at what one event can hold. Steps that are found in the cache one
after the other are told together: to tell of one takes the engine and the client longer than to find it.
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

    Emit = Callable[[list[dict[str, Any]]], None]
    """Takes events: `vertex` (its number), `event` (start, cached, done, failed, canceled, log, status, warning), and
    with them `name`, `text`, `seconds`."""

KEPT: Final = 100
"""Lines of a vertex's output that are kept for the message when it fails."""


class Vertex:
    """One thing that is done, as the user sees it."""

    def __init__(self, progress: Progress, number: int, name: str, *, quiet: bool = False) -> None:
        self._progress = progress
        self.number = number
        self.name = name
        self._began = time.monotonic()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._partial = ""
        self.ended = False
        self._say("start", quiet=quiet, name=name)

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
        if not self.ended:
            self.ended = True
            self._say("cached", quiet=True)

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

    def _say(self, event: str, *, quiet: bool = False, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._began, 4)
        self._progress.tell({"vertex": self.number, "event": event, "seconds": seconds, **fields}, quiet=quiet)


class Progress:
    """Makes the vertices of a build; `emit` may be called from any thread."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._held: list[dict[str, Any]] = []
        self._telling = threading.Lock()

    def vertex(self, name: str, *, quiet: bool = False) -> Vertex:
        """A vertex that begins now; `quiet`: it is told of with the next that is, or by `flush`."""
        with self._lock:
            return Vertex(self, next(self._numbers), name, quiet=quiet)

    def warning(self, rule: str, text: str, line: int) -> None:
        """A finding about the Dockerfile."""
        self.tell({"vertex": 0, "event": "warning", "rule": rule, "text": text, "line": line})

    def tell(self, event: dict[str, Any], *, quiet: bool = False) -> None:
        """Tell of an event and all that were held back before it; a `quiet` one is held back."""
        with self._telling:
            self._held.append(event)
            if not quiet:
                self._tell()

    def flush(self) -> None:
        """Tell of what was held back: something is to be done that may take long."""
        with self._telling:
            self._tell()

    def _tell(self) -> None:
        held, self._held = self._held, []
        if held:
            self._emit(held)
