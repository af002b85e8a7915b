"""Signals by name as people write them.

The real-time ones are counted from SIGRTMIN and SIGRTMAX, which are the C library's to choose: systemd as pid 1 stops
at RTMIN+3.
"""

from __future__ import annotations

import re
import signal

from runtime.errors import InvalidParameter

_NUMBER = re.compile(r"[0-9]{1,3}")
_REAL_TIME = re.compile(r"RTMIN\+([0-9]{1,2})|RTMAX-([0-9]{1,2})")


def number(name: str) -> int:
    """The number of `SIGTERM`, `term`, `15`, `RTMIN+3` or `RTMAX-1`, 0 for `0`; raises InvalidParameter."""
    found = -1
    short = name.upper().removeprefix("SIG")
    if _NUMBER.fullmatch(name):
        found = int(name)
    elif f"SIG{short}" in signal.Signals.__members__:
        found = signal.Signals[f"SIG{short}"].value
    elif counted := _REAL_TIME.fullmatch(short):
        up, down = counted.groups()
        found = signal.SIGRTMIN + int(up) if up else signal.SIGRTMAX - int(down)
        found = found if found >= signal.SIGRTMIN else -1
    if not 0 <= found <= signal.SIGRTMAX:
        raise InvalidParameter(f"invalid signal: {name[:20]}")
    return found
