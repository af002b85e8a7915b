"""Colour text for terminals; the decision whether to is made once per command and passed on."""

from __future__ import annotations

RESET = "\x1b[0m"
LOG_COLOURS = ("36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1")
"""cyan, yellow, green, magenta, blue, then the same bright: the order in which Compose hands them out."""

GREEN = "32"
YELLOW = "33"
BLUE = "34"
CYAN = "36"
RED_BOLD = "31;1"
YELLOW_BOLD = "33;1"
DIM = "2"
HIDE_CURSOR = "\x1b[?25l"
SHOW_CURSOR = "\x1b[?25h"
RESET_LINE = "\r\x1b[K"


def paint(text: str, code: str, *, colour: bool = True) -> str:
    """The text in a colour, or as it is."""
    return f"\x1b[{code}m{text}{RESET}" if colour and code else text


def up(lines: int) -> str:
    """Move the cursor up."""
    return f"\x1b[{lines}A" if lines else ""
