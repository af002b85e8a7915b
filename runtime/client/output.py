"""Write whole blocks to a descriptor of the user's, who may have made it a full disk, a closed pipe or non-blocking."""

from __future__ import annotations

import os
import select

from runtime.errors import SystemFailure


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write everything. Raises BrokenPipeError when its reader left, SystemFailure for what cannot be written."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # O_NONBLOCK belongs to the open file: any process that shares it may have set it
            waiting = select.poll()
            waiting.register(fd, select.POLLOUT)
            waiting.poll()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SystemFailure(f"writing output: {(error.strerror or str(error)).lower()}") from error
