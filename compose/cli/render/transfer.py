"""Show how far a transfer is, in one line of a terminal that is gone when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from compose.cli.render import ansi, humanise

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class TransferLine:
    """Writes nothing at all unless `stream` is a terminal that is to be written on."""

    def __init__(self, stream: TextIO, *, shown: bool) -> None:
        self._stream = stream
        self._shown = shown
        self._drawn = False

    def progress(self, event: Mapping[str, Any]) -> None:
        """`text`, `current` and `total` (bytes; 0: unknown) of a worker's progress event."""
        if not self._shown:
            return
        amount = humanise.size(event["current"], 4)
        total = f"/{humanise.size(event['total'], 4)}" if event["total"] else ""
        self._stream.write(f"{ansi.RESET_LINE}{event['text']} {amount}{total}")
        self._stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        if self._drawn:
            self._stream.write(ansi.RESET_LINE)
            self._stream.flush()
            self._drawn = False
