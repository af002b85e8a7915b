"""Put the caller's terminal into raw mode and ask for its size; restore it whatever happens."""

from __future__ import annotations

import os
import termios
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

IFLAG, OFLAG, CFLAG, LFLAG, CC = 0, 1, 2, 3, 6


class raw:  # noqa: N801 - reads as a verb: `with raw(fd):`
    """Raw mode (cfmakeraw) of terminal `fd` for the length of a `with` block; nothing for None or no terminal."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd if fd is not None and os.isatty(fd) else None
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        if self._fd is None:
            return self
        self._saved = termios.tcgetattr(self._fd)
        mode = termios.tcgetattr(self._fd)
        mode[IFLAG] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        mode[OFLAG] &= ~termios.OPOST
        mode[LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[CFLAG] = mode[CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[CC] = list(mode[CC])
        mode[CC][termios.VMIN] = 1
        mode[CC][termios.VTIME] = 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None and self._saved is not None:
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            except termios.error:
                pass  # a terminal that hung up has nothing to be restored


def size(fd: int) -> tuple[int, int] | None:
    """Rows and columns of the terminal behind `fd`; None if it is none or does not know."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return None
    return (found.lines, found.columns) if found.columns else None
