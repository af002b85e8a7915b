"""When a shim brings the engine back: it is gone, did not say bye, the zygote does not do it, and the container has a record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.shim.respawn import Respawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.shim.loop import Loop
    from runtime.shim.respawn import EngineCommand, Surroundings

RESPAWN_SECONDS = 0.3
"""Longer than the zygote waits."""


class EngineWatch:
    """lost() when the engine's connection ended, found() with its hello; `abandon()` if no engine will ever ask again."""

    __slots__ = ("_abandon", "_dismissed", "_kernel", "_loop", "_namespaces", "_record", "_respawn", "_zygote")

    def __init__(
        self, loop: Loop, kernel: Kernel, surroundings: Surroundings, record: str, abandon: Callable[[], None]
    ) -> None:
        """`record`: a path in the container's directory, which is there as long as the engine knows of the container."""
        self._loop = loop
        self._kernel = kernel
        self._namespaces = surroundings["namespaces"]
        self._record = record
        self._abandon = abandon
        self._dismissed = False
        self._zygote = surroundings["zygote"]
        self._respawn = self._bring_back(surroundings["engine"])

    def lost(self) -> None:
        """Bring it back, unless it said bye."""
        if not self._dismissed:
            self._respawn.lost(RESPAWN_SECONDS)

    def found(self) -> None:
        """An engine said hello."""
        self._dismissed = False
        self._respawn.found()

    def dismiss(self) -> None:
        """The engine said bye: it is not missed until another says hello."""
        self._dismissed = True
        self._respawn.found()

    def follow(self, engine: EngineCommand, zygote: int) -> None:
        """Engine and zygote are of another version than those this shim was born under: these are to come back."""
        self._respawn.found()
        self._respawn = self._bring_back(engine)
        self._zygote = zygote

    def _bring_back(self, engine: EngineCommand) -> Respawn:
        return Respawn(self._loop, self._kernel, engine, self._namespaces, self._leave_it_to_others)

    def _leave_it_to_others(self) -> bool:
        """Asked at each attempt."""
        if not os.path.isdir(os.path.dirname(self._record)):
            self._abandon()
            return True
        # While the zygote lives it does it; it may die later.
        return os.getppid() == self._zygote
