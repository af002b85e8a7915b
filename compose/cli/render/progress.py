"""Show the progress of plans on standard error: lines in place on a terminal, else one line an event, JSON or nothing.

On a terminal the block of lines is redrawn ten times a second by a thread of its own, not once an event: fifty
containers that start in a quarter of a second cost three drawings.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from compose.cli.render import ansi, verbs
from compose.cli.render.humanise import size

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = ("auto", "tty", "plain", "json", "quiet")
INTERVAL = 0.1
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {verbs.DONE: ("✔", ansi.GREEN), verbs.WARNING: ("!", ansi.YELLOW_BOLD), verbs.ERROR: ("✘", ansi.RED_BOLD)}
TEXT_COLOURS = {verbs.DONE: ansi.GREEN, verbs.WARNING: ansi.YELLOW_BOLD, verbs.ERROR: ansi.RED_BOLD, verbs.WORKING: ""}
DRY_RUN = "DRY-RUN MODE - "
BAR = 20
"""Columns of a bar that counts bytes."""


class Writer(Protocol):
    """Where progress lines go."""

    def start(self) -> None: ...
    def line(self, line: verbs.Line) -> None: ...
    def message(self, text: str) -> None:
        """A line of text that stays."""

    def stop(self) -> None: ...


class QuietWriter:
    """Shows nothing."""

    def start(self) -> None: ...
    def line(self, line: verbs.Line) -> None: ...
    def message(self, text: str) -> None: ...
    def stop(self) -> None: ...


class PlainWriter:
    """A line for each event: ` Container app-web-1  Started`, with the cause or the awaited thing behind it."""

    def __init__(self, out: TextIO, *, dry_run: bool = False, notes: bool = True) -> None:
        self._out = out
        self._prefix = DRY_RUN if dry_run else ""
        self._notes = notes
        self._shown: dict[str, verbs.Line] = {}

    def start(self) -> None: ...

    def line(self, line: verbs.Line) -> None:
        # a line for each state, not for each step of its count
        line = line._replace(current=0, total=0)
        if self._shown.get(_key(line)) == line:
            return
        self._shown[_key(line)] = line
        if line.bare:
            self._print(f"{self._prefix} {line.id} {line.text} {line.note}")
            return
        note = f"  ({line.note})" if line.note and self._notes and line.status != verbs.DONE else ""
        self._print(f"{self._prefix} {line.id} {line.subject} {line.text}{note}")

    def message(self, text: str) -> None:
        self._print(self._prefix + text)

    def stop(self) -> None:
        self._out.flush()

    def _print(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class JsonWriter:
    """A JSON object for each event, in the form of Compose's `--progress json`."""

    def __init__(self, out: TextIO, *, dry_run: bool = False) -> None:
        self._out = out
        self._dry_run = dry_run

    def start(self) -> None: ...

    def line(self, line: verbs.Line) -> None:
        subject = {"text": line.subject} if line.subject else {}
        data: dict[str, object] = {"id": line.id, **subject, "status": line.text}
        if line.note:
            data["cause"] = line.note
        self._print(data)

    def message(self, text: str) -> None:
        self._print({"tail": True, "text": text})

    def stop(self) -> None:
        self._out.flush()

    def _print(self, data: dict[str, object]) -> None:
        head: dict[str, object] = {"dry-run": True} if self._dry_run else {}
        self._out.write(json.dumps({**head, **data}, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._out.flush()


class _Row:
    """A line on the terminal and its times."""

    __slots__ = ("began", "ended", "line")

    def __init__(self, line: verbs.Line, now: float) -> None:
        self.line = line
        self.began = now
        self.ended = now


class TtyWriter:
    """Lines in place, as Compose draws them: `[+] Running 2/3`, a mark, the name, the state and the time taken."""

    def __init__(
        self,
        out: TextIO,
        size: Callable[[], tuple[int, int]],
        *,
        title: str = "Running",
        colour: bool = True,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
        tick: bool = True,
    ) -> None:
        self._out = out
        self._size = size
        self._title = title
        self._colour = colour
        self._prefix = DRY_RUN if dry_run else ""
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._messages: list[str] = []
        self._drawn = 0
        self._frame = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="progress", daemon=True) if tick else None

    def start(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def line(self, line: verbs.Line) -> None:
        with self._lock:
            now = self._clock()
            if not line.parent and line.status != verbs.WORKING:
                self._rows = {key: row for key, row in self._rows.items() if row.line.parent != line.id}
            row = self._rows.get(_key(line))
            if row is None:
                self._rows[_key(line)] = _Row(line, now)
                return
            row.line = line
            row.ended = now

    def message(self, text: str) -> None:
        with self._lock:
            if self._drawn or self._rows:
                self._messages.append(text)
                return
            # nothing is drawn while a plan waits for its turn: that it waits must be seen now
            self._out.write(f"{self._prefix}{text}\n")
            self._out.flush()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        self.draw(last=True)
        for text in self._messages:
            self._out.write(f"{self._prefix}{text}\n")
        self._out.flush()

    def draw(self, *, last: bool = False) -> None:
        """Draw the block over the one drawn before; `last` shows every line, whatever the terminal's height."""
        with self._lock:
            if not self._rows:
                return
            height, width = self._size()
            rows = list(self._rows.values())
            room = max(height - 2, 1)
            shown = rows if last or len(rows) <= room else _most_interesting(rows, room)
            lines = [self._headline(rows), *(self._render(row, width, rows) for row in shown)]
            erased = [f"\x1b[2K{text}" for text in lines]
            if self._drawn > len(lines):
                erased.append("\x1b[0J")
            begin = ansi.HIDE_CURSOR + ("\r" + ansi.up(self._drawn) if self._drawn else "")
            self._out.write(begin + "\n".join(erased[: len(lines)]) + "\n" + "".join(erased[len(lines) :]))
            self._out.write(ansi.SHOW_CURSOR)
            self._out.flush()
            self._drawn = len(lines)
            self._frame += 1

    def _tick(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.draw()

    def _headline(self, rows: list[_Row]) -> str:
        done = sum(row.line.status != verbs.WORKING for row in rows)
        text = f"[+] {self._title} {done}/{len(rows)}"
        return ansi.paint(text, ansi.BLUE, colour=self._colour and done == len(rows))

    def _render(self, row: _Row, width: int, rows: list[_Row]) -> str:
        line = row.line
        working = line.status == verbs.WORKING
        mark, mark_colour = MARKS.get(line.status, (SPINNER[self._frame % len(SPINNER)], ansi.YELLOW))
        ended = self._clock() if working else row.ended
        timer = f"{ended - row.began:.1f}s "
        column = max(len(each.line.label) for each in rows) + 1
        name = f"{line.label:<{column}}"
        room = width - len(f" {mark} {self._prefix}{name} ") - len(timer) - 1
        text = line.text[: max(room, 0)]
        note = line.note.replace("\n", " ") or _bar(line)
        room -= len(text) + 2
        note = (note if len(note) <= room else note[: room - 1] + "…") if note and room > 1 else ""
        used = len(f" {mark} {self._prefix}{name} {text}") + (len(note) + 2 if note else 0)
        painted = [
            f" {self._paint(mark, mark_colour)} {self._paint(self._prefix, ansi.CYAN)}{name} ",
            self._paint(text, TEXT_COLOURS[line.status]),
            f"  {self._paint(note, ansi.DIM)}" if note else "",
            " " * max(width - used - len(timer), 1),
            self._paint(timer, ansi.BLUE),
        ]
        return "".join(painted)

    def _paint(self, text: str, code: str) -> str:
        return ansi.paint(text, code, colour=self._colour and bool(text))


def _key(line: verbs.Line) -> str:
    return f"{line.parent}/{line.id}" if line.parent else line.id


def _indent(line: verbs.Line) -> str:
    return "  " if line.parent else ""


def _bar(line: verbs.Line) -> str:
    """`[=====>    ] 1.2MB/2.4MB` of a line that counts bytes."""
    if not line.total or line.status != verbs.WORKING:
        return ""
    done = min(line.current * BAR // line.total, BAR)
    return f"[{'=' * done}{'>' * (done < BAR)}{' ' * (BAR - done - 1)}] {size(line.current, 3)}/{size(line.total, 3)}"


def _most_interesting(rows: list[_Row], room: int) -> list[_Row]:
    """The rows for a terminal that is too low: what failed or is under way, then the latest; in their order."""
    ranked = sorted(
        range(len(rows)), key=lambda index: (rows[index].line.status in (verbs.DONE, verbs.WARNING), -index)
    )
    return [rows[index] for index in sorted(ranked[:room])]
