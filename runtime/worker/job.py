"""Run one job: a request from one descriptor, events to another, one per line.

The last event is `finished` with a result or `failed` with an error. A worker may be killed at any moment: what it had
not finished lies in a workspace that the next one sweeps away. One whose events nobody can read any more ends itself: a
container it runs, or a registry that says nothing, could keep it for ever.
"""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from typing import TYPE_CHECKING

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.paths import Paths
from runtime.worker.events import Events
from runtime.worker.jobs import JOBS

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(job: str, source: int, target: int, fds: Mapping[str, int] | None = None) -> int:
    """The exit code of `job`, one of JOBS: 0 if it finished or was not wanted in the end, 1 if it failed.

    `source`: a descriptor to read the request from, until its end; `target`: where events go; `fds`: descriptors that
    the request refers to, by the field that is to hold their number.
    """
    events = Events(target)
    threading.Thread(target=_end_with_reader, args=(target,), name="reader", daemon=True).start()
    try:
        return _run(job, source, events, fds or {})
    except BrokenPipeError:
        return 1  # nobody wants the result any more, and be it an error


def _run(job: str, source: int, events: Events, fds: Mapping[str, int]) -> int:
    try:
        with open(source, encoding="utf-8", closefd=False) as file:
            text = file.read()
        if not text:
            return 0
        request = json.loads(text)
        if not isinstance(request, dict) or not isinstance(request.get("root"), str):
            raise InvalidParameter("worker: the request is no object with a root")
        paths = Paths(root=request["root"], run=str(request.get("run") or ""))
        events.finished(JOBS[job](paths, {**request, **fds}, events))
    except EngineError as error:
        events.failed(error)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return 1
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        reason = (error.strerror or str(error)).lower()
        events.failed(SystemFailure(f"{job}{where}: {reason}", errno=error.errno))
    except (ValueError, KeyError, TypeError) as error:
        events.failed(InvalidParameter(f"{job}: invalid request: {error}"))
    return 1 if events.has_failed else 0


def _end_with_reader(fd: int) -> None:
    """Wait until the other end of the pipe `fd` is closed, and ask this process to end then, as the engine would."""
    poll = select.poll()
    poll.register(fd, 0)
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)
