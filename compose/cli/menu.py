"""The keys of an attached `up` and the line below the logs that names them.

The line is always the last one: whoever prints erases it first, and it is drawn again behind what was printed. The
terminal gives keys as they are typed; Ctrl-C stays a signal.
"""

from __future__ import annotations

import os
import select
import termios
import threading
from typing import TYPE_CHECKING, Any, Self

from compose.cli.render import ansi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from compose.usecases.report import LogSink

_LFLAG, _CC = 3, 6
KEY = "7"
"""Reversed, as a key looks."""
MARK = "        ⦿ "


class Menu:
    """Footer and keys of one terminal; a context manager, for the terminal is to be given back as it was."""

    def __init__(self, stdin: int, stdout: int, *, colour: bool) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._colour = colour
        self._saved: list[Any] | None = None
        self._drawn = False
        self._over = False
        self._watching = False
        self.lock = threading.RLock()
        """Held by whoever prints: logs and what watching tells come from two threads."""

    def __enter__(self) -> Self:
        self._saved = termios.tcgetattr(self._stdin)
        mode = termios.tcgetattr(self._stdin)
        mode[_LFLAG] &= ~(termios.ECHO | termios.ICANON)
        mode[_CC] = list(mode[_CC])
        mode[_CC][termios.VMIN] = 1
        mode[_CC][termios.VTIME] = 0
        termios.tcsetattr(self._stdin, termios.TCSADRAIN, mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.erase()
        if self._saved is not None:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._saved)

    def typed(self) -> str:
        """What was typed since; does not wait."""
        text = ""
        while select.select([self._stdin], [], [], 0)[0]:
            data = os.read(self._stdin, 64)
            if not data:
                break
            text += data.decode("ascii", "ignore")
        return text

    def watching(self, is_on: bool) -> None:
        """Watching was switched on or off: say so, and offer the other."""
        self._watching = is_on
        mark = ansi.paint(MARK, "92", colour=self._colour)
        self.say(f"{mark}Watch {'enabled' if is_on else 'disabled'}")

    def leave(self) -> None:
        """The footer goes and does not come back."""
        with self.lock:
            self.erase()
            self._over = True

    def say(self, text: str) -> None:
        """A line above the footer."""
        with self.lock:
            self.erase()
            self._write(f"{text}\n")
            self.draw()

    def draw(self) -> None:
        """Put the footer on the line the cursor is on."""
        if self._drawn or self._over:
            return
        items = (("w", "Disable Watch" if self._watching else "Enable Watch"), ("d", "Detach"))
        shown = (
            f"{ansi.paint(key, KEY, colour=self._colour)} {ansi.paint(text, ansi.DIM, colour=self._colour)}"
            for key, text in items
        )
        self._write("   ".join(shown))
        self._drawn = True

    def erase(self) -> None:
        """Leave an empty line where the footer was."""
        if self._drawn:
            self._write(ansi.RESET_LINE)
            self._drawn = False

    def _write(self, text: str) -> None:
        view = memoryview(text.encode())
        while view:
            view = view[os.write(self._stdout, view) :]


class AboveMenu:
    """A LogSink that prints above the footer."""

    def __init__(self, sink: LogSink, menu: Menu) -> None:
        self._sink = sink
        self._menu = menu

    def register(self, names: Iterable[str]) -> None:
        self._sink.register(names)

    def block(self, name: str, block: bytes) -> None:
        with self._menu.lock:
            self._menu.erase()
            self._sink.block(name, block)
            self._menu.draw()

    def status(self, name: str, text: str) -> None:
        with self._menu.lock:
            self._menu.erase()
            self._sink.status(name, text)
            self._menu.draw()

    def flush(self, name: str | None = None) -> None:
        with self._menu.lock:
            self._menu.erase()
            self._sink.flush(name)
