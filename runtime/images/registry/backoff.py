"""Wait between attempts: longer each time, as long as the registry asks for, and not for ever."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS: Final = 6
"""In a row, the first one among them."""
FIRST: Final = 0.5
"""Seconds of the first pause; each is twice as long as the one before."""
LONGEST: Final = 30.0
"""Seconds of one pause, unless the registry asks for more."""
TOTAL: Final = 300.0
"""Seconds of all pauses of one transfer."""


class Backoff:
    """The pauses of one request or transfer."""

    def __init__(
        self,
        *,
        tell: Callable[[float], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`tell` hears of each pause before it."""
        self._left = TOTAL
        self._tell = tell
        self._sleep = sleep
        self._failed = 0

    def again(self, asked: float = 0.0) -> bool:
        """Pause before another attempt, at least `asked` seconds; False if it is time to give up."""
        self._failed += 1
        if self._failed >= ATTEMPTS:
            return False
        pause = min(FIRST * 2 ** (self._failed - 1), LONGEST) * random.uniform(0.75, 1.25)
        pause = max(pause, asked)
        if pause > self._left:
            return False
        self._left -= pause
        if self._tell is not None:
            self._tell(pause)
        self._sleep(pause)
        return True

    def progressed(self) -> None:
        """Data came: failures before it do not count any more, the pauses do."""
        self._failed = 0


def asked_pause(value: str | None, now: float) -> float:
    """Seconds that a Retry-After header asks for (a number or a date); 0 if it says nothing sensible."""
    if not value:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
