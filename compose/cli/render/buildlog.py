"""Show builds as BuildKit's client does: numbered steps with their output line by line, or in place on a terminal."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from compose.cli.render import ansi
from compose.usecases.imagebuild import of_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.wire.plan import Operation, PlanEvent

INTERVAL = 0.1
LOG_LINES = 6
"""Lines of a running step's output that a terminal shows."""
NAME_WIDTH = 72


class BuildRenderer(Protocol):
    """Where the events of a build go."""

    def event(self, event: Mapping[str, Any]) -> None: ...
    def stop(self, *, failed: bool) -> None: ...


class QuietBuild:
    """Shows nothing."""

    def event(self, event: Mapping[str, Any]) -> None: ...
    def stop(self, *, failed: bool) -> None: ...


class RawJsonBuild:
    """Each event as it came, one a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, event: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n")

    def stop(self, *, failed: bool) -> None:
        self._out.flush()


class _Step:
    """A step as far as it is known."""

    __slots__ = ("began", "count", "error", "event", "name", "number", "partial", "seconds", "tail")

    def __init__(self, number: int, name: str, began: float) -> None:
        self.number = number
        self.name = name
        self.began = began
        self.seconds = 0.0
        self.event = "start"
        self.partial = ""
        self.error = ""
        self.count = 0
        self.tail: list[str] = []

    def feed(self, text: str) -> list[str]:
        """Whole lines of what it prints."""
        *lines, self.partial = (self.partial + text).split("\n")
        self.tail = (self.tail + lines)[-LOG_LINES:]
        return [line.rpartition("\r")[2] if line.rstrip("\r") != line else line for line in lines]


class PlainBuild:
    """`#5 [2/3] RUN make`, its output with times, `#5 DONE 0.4s`; a blank line where another step goes on."""

    def __init__(self, out: TextIO, prefix: str = "") -> None:
        self._out = out
        self._prefix = prefix
        self._steps: dict[int, _Step] = {}
        self._current = 0
        self._warnings: list[Mapping[str, Any]] = []
        self._written = False

    def event(self, event: Mapping[str, Any]) -> None:
        kind, number = event["event"], int(event["vertex"])
        if kind == "warning":
            self._warnings.append(event)
            return
        if kind == "start":
            self._steps[number] = _Step(number, str(event["name"]), 0.0)
            self._turn_to(number)
            return
        step = self._steps[number]
        if kind == "log":
            for line in step.feed(str(event["text"])):
                self._line(number, f"{event['seconds']:.3f} {line}")
        elif kind == "status":
            self._line(number, str(event["text"]))
        else:
            self._end(step, event)

    def stop(self, *, failed: bool) -> None:
        for text in warning_lines(self._warnings):
            self._out.write(f"{text}\n")
        self._out.flush()

    def _end(self, step: _Step, event: Mapping[str, Any]) -> None:
        if step.partial:
            self._line(step.number, f"{event['seconds']:.3f} {step.partial}")
            step.partial = ""
        step.event = str(event["event"])
        texts = {
            "cached": "CACHED",
            "done": f"DONE {event['seconds']:.1f}s",
            "canceled": "CANCELED",
            "failed": f"ERROR: {event.get('text', '')}",
        }
        self._line(step.number, texts[step.event])

    def _line(self, number: int, text: str) -> None:
        self._turn_to(number)
        self._out.write(f"{self._prefix}#{number} {text}\n")
        self._out.flush()

    def _turn_to(self, number: int) -> None:
        if number == self._current:
            return
        before = self._steps.get(self._current)
        if before is not None and before.event == "start":
            self._out.write(f"{self._prefix}#{before.number} ...\n")
        if self._written:
            self._out.write("\n")
        self._written = True
        self._current = number
        self._out.write(f"{self._prefix}#{number} {self._steps[number].name}\n")
        self._out.flush()


class TtyBuild:
    """Steps in place, with times, and the last lines of what is running."""

    def __init__(
        self,
        out: TextIO,
        size: Callable[[], tuple[int, int]],
        *,
        colour: bool = True,
        clock: Callable[[], float] = time.monotonic,
        tick: bool = True,
    ) -> None:
        self._out = out
        self._size = size
        self._colour = colour
        self._clock = clock
        self._began = clock()
        self._steps: dict[int, _Step] = {}
        self._statuses: dict[int, list[str]] = {}
        self._warnings: list[Mapping[str, Any]] = []
        self._drawn = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="build", daemon=True) if tick else None
        if self._thread is not None:
            self._thread.start()

    def event(self, event: Mapping[str, Any]) -> None:
        with self._lock:
            kind, number = event["event"], int(event["vertex"])
            if kind == "warning":
                self._warnings.append(event)
            elif kind == "start":
                self._steps[number] = _Step(number, str(event["name"]), self._clock())
            elif kind == "log":
                self._steps[number].feed(str(event["text"]))
            elif kind == "status":
                self._statuses.setdefault(number, []).append(str(event["text"]))
            else:
                step = self._steps[number]
                step.event, step.seconds, step.error = kind, float(event["seconds"]), str(event.get("text") or "")

    def stop(self, *, failed: bool) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.draw(finished="ERROR" if failed else "FINISHED")
        for text in warning_lines(self._warnings):
            self._out.write(f"{text}\n")
        self._out.flush()

    def draw(self, finished: str = "") -> None:
        """Draw the block over the one before."""
        with self._lock:
            height, width = self._size()
            rows = [row for step in self._steps.values() for row in self._rows(step, width, last=bool(finished))]
            if not finished:
                rows = rows[-max(height - 2, 1) :]
            ended = sum(step.event != "start" for step in self._steps.values())
            head = f"[+] Building {self._clock() - self._began:.1f}s ({ended}/{len(self._steps)})"
            lines = [(f"{head} {finished}".rstrip(), "" if not finished else ansi.BLUE), *rows]
            text = "".join(f"\x1b[2K{ansi.paint(line, code, colour=self._colour)}\n" for line, code in lines)
            below = "\x1b[0J" if self._drawn > len(lines) else ""
            self._out.write(f"{ansi.HIDE_CURSOR}\r{ansi.up(self._drawn)}{text}{below}{ansi.SHOW_CURSOR}")
            self._out.flush()
            self._drawn = len(lines)

    def _tick(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.draw()

    def _rows(self, step: _Step, width: int, *, last: bool) -> list[tuple[str, str]]:
        running = step.event == "start"
        seconds = self._clock() - step.began if running else step.seconds
        mark = {"cached": "CACHED ", "failed": "ERROR ", "canceled": "CANCELED "}.get(step.event, "")
        colour = {"failed": ansi.RED_BOLD, "canceled": ansi.YELLOW, "start": ""}.get(step.event, ansi.BLUE)
        rows = [(_with_time(f" => {mark}{step.name}", seconds, width), colour)]
        if not running and step.event != "failed":
            rows += [(_with_time(f" => => {text}", 0.0, width), colour) for text in self._statuses.get(step.number, [])]
        if running and not last:
            rows += [(f" => => # {line}"[:width], ansi.DIM) for line in step.tail[-LOG_LINES:]]
        return rows


class BuildLog:
    """The builds of one plan in one log: steps carry the name of their service, and are numbered through."""

    def __init__(self, shown: BuildRenderer) -> None:
        self._shown = shown
        self._numbers: dict[tuple[int, int], int] = {}
        self._failed = False

    def event(self, operation: Operation, event: PlanEvent) -> None:
        """An event of a BuildImage operation, whose resource names the services."""
        if event.get("status") == "failed":
            self._failed = True
        if event.get("status") != "vertex":
            return
        vertex: dict[str, Any] = dict(event["vertex"])
        if vertex["event"] == "start":
            target = operation["resource"].partition(" ")[2].partition(",")[0]
            vertex["name"] = of_target(str(vertex["name"]), target)
        if vertex["vertex"]:
            key = (operation["id"], int(vertex["vertex"]))
            vertex["vertex"] = self._numbers.setdefault(key, len(self._numbers) + 1)
        self._shown.event(vertex)

    def stop(self) -> None:
        """The plan is over."""
        self._shown.stop(failed=self._failed)


def warning_lines(warnings: list[Mapping[str, Any]]) -> list[str]:
    """Findings about the Dockerfile, as BuildKit's client lists them at the end."""
    if not warnings:
        return []
    count = len(warnings)
    head = "\n 1 warning found:" if count == 1 else f"\n {count} warnings found:"
    return [head, *(f" - {item.get('rule')}: {item.get('text')} (line {item.get('line')})" for item in warnings)]


def renderer(mode: str, out: TextIO, size: Callable[[], tuple[int, int]], *, colour: bool) -> BuildRenderer:
    """The renderer of a progress mode: plain, tty, quiet, rawjson; auto is tty where `out` is a terminal."""
    if mode in ("quiet", "none"):
        return QuietBuild()
    if mode in ("rawjson", "json"):
        return RawJsonBuild(out)
    if mode == "tty" or (mode in ("auto", "") and out.isatty()):
        return TtyBuild(out, size, colour=colour)
    return PlainBuild(out)


def _with_time(text: str, seconds: float, width: int) -> str:
    timer = f"{seconds:.1f}s"
    room = max(width - len(timer) - 1, 10)
    return f"{text[:room]:<{room}} {timer}"
