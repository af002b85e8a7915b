"""Print log lines with their container's name before them, as Compose does: `web-1  | line`.

Output goes straight to the descriptor in whole lines: blocks of a megabyte pass through without a step per line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.cli.render import ansi
from runtime.client import logrecords
from runtime.client.output import write_all

if TYPE_CHECKING:
    from collections.abc import Iterable


class LogPrinter:
    """Prefixes, colours and line assembly for the containers of one command.

    Records of a line without its end are kept until the rest comes or `flush` is called. With `split_streams` the
    containers' stderr goes to `stderr`, else everything to `stdout`.
    """

    def __init__(
        self,
        stdout: int,
        stderr: int,
        *,
        colour: bool,
        prefix: bool = True,
        timestamps: bool = False,
        split_streams: bool = False,
    ) -> None:
        self._outputs = {"stdout": stdout, "stderr": stderr}
        self._colour = colour
        self._prefix = prefix
        self._timestamps = timestamps
        self._split = split_streams
        self._colours: dict[str, str] = {}
        self._width = 0
        self._rest: dict[tuple[str, str], bytes] = {}

    def register(self, names: Iterable[str]) -> None:
        """Make room for names and give each its colour, in order; a longer name later moves the bar for all."""
        for name in names:
            if name not in self._colours:
                self._colours[name] = ansi.LOG_COLOURS[len(self._colours) % len(ansi.LOG_COLOURS)]
                self._width = max(self._width, len(name))

    def prefix(self, name: str) -> str:
        """What stands before each line of a container."""
        self.register([name])
        if not self._prefix:
            return ""
        return ansi.paint(f"{name:<{self._width + 1}} | ", self._colours[name], colour=self._colour)

    def block(self, name: str, block: bytes) -> None:
        """Print a block of complete json-file records."""
        if not self._split:
            self._print(name, "stdout", block)
            return
        for stream, part in logrecords.split_streams(block):
            self._print(name, stream, part)

    def status(self, name: str, text: str) -> None:
        """A line about a container in its colour: `web-1 exited with code 0`."""
        self.flush(name)
        self.register([name])
        line = f"{name} {text}"
        # the erase code in front is Compose's: what a progress line left there goes away
        shown = ansi.paint(f"{ansi.RESET_LINE}{line}", self._colours[name]) if self._colour else line
        write_all(self._outputs["stdout"], shown.encode() + b"\n")

    def flush(self, name: str | None = None) -> None:
        """Print what was kept of unfinished lines, of one container or of all."""
        for key in [key for key in self._rest if name in (None, key[0])]:
            rest = self._rest.pop(key)
            write_all(self._outputs[key[1]], self.prefix(key[0]).encode() + rest + b"\n")

    def _print(self, name: str, stream: str, block: bytes) -> None:
        prefix = self.prefix(name).encode()
        key = (name, stream)
        rest = self._rest.pop(key, b"")
        if self._timestamps:
            text = logrecords.timed(block)
        elif rest:
            text = rest + logrecords.text(block)
        else:
            self._emit(key, logrecords.text(block, prefix), prefix)
            return
        if rest and self._timestamps:
            text = rest + text.split(b" ", 1)[-1]
        end = text.rfind(b"\n") + 1
        if text[end:]:
            self._rest[key] = text[end:]
        if end:
            lines = text[: end - 1].replace(b"\n", b"\n" + prefix) if prefix else text[: end - 1]
            write_all(self._outputs[stream], prefix + lines + b"\n")

    def _emit(self, key: tuple[str, str], text: bytes, prefix: bytes) -> None:
        end = text.rfind(b"\n") + 1
        if text[end:]:
            self._rest[key] = text[end + len(prefix) :]
        if end:
            write_all(self._outputs[key[1]], text[:end] if end < len(text) else text)
