"""One process that the shim forked into the container: whether it began, and how it ended.

The pidfd becomes readable when the process is a zombie, so waitpid never blocks and nobody else's child is reaped.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.linux import pidfd as process
from runtime.oci import messages
from runtime.shim import errand
from runtime.shim.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.shim.loop import Loop


class Child:
    """on_begin(None or what failed) comes once and first, then on_end(wait status) once; owns both descriptors."""

    __slots__ = ("_begun", "_error_pipe", "_kernel", "_loop", "_on_begin", "_on_end", "_pidfd", "pid", "reaped")

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        entered: tuple[int, int, int],
        on_begin: Callable[[messages.StartError | None], None],
        on_end: Callable[[int], None],
    ) -> None:
        self.pid, self._pidfd, error_pipe = entered
        self.reaped = False
        self._loop = loop
        self._kernel = kernel
        self._error_pipe: int | None = error_pipe
        self._begun = False
        self._on_begin = on_begin
        self._on_end = on_end
        loop.watch(error_pipe, READ, self._began)
        loop.watch(self._pidfd, READ, self._ended)

    def signal(self, number: int) -> None:
        """Send a signal; to a process that is gone is fine."""
        if not self.reaped:
            process.send_signal(self._kernel, self._pidfd, number)

    def _began(self, events: int) -> None:
        fd, self._error_pipe = self._error_pipe, None
        if fd is None:
            return
        failure: messages.StartError | None = None
        try:
            messages.receive(fd)
        except messages.StartError as error:
            failure = error
        self._loop.unwatch(fd)
        os.close(fd)
        errand.collect()
        self._on_begin(failure)

    def _ended(self, events: int) -> None:
        # Both may be ready at once; the order of the reports must not depend on the order of the descriptors.
        self._began(0)
        _, status = os.waitpid(self.pid, 0)
        self.reaped = True
        self._loop.unwatch(self._pidfd)
        os.close(self._pidfd)
        self._on_end(status)
