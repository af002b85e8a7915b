"""One job in a process of its own: `python -m runtime.worker JOB`, request on stdin, events on stdout, one per line.

The last event is `finished` with a result or `failed` with an error. A worker may be killed at any moment: what it had
not finished lies in a workspace that the next one sweeps away.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.paths import Paths
from runtime.worker.events import Events
from runtime.worker.jobs import JOBS, PRELOADS


def main(argv: list[str]) -> int:
    """Run the job; the exit code is 0 if it finished, 1 if it failed, 2 for a wrong command line."""
    if len(argv) != 2 or argv[1] not in JOBS:
        print(f"usage: python -m runtime.worker {'|'.join(sorted(JOBS))}", file=sys.stderr)
        return 2
    events = Events(sys.stdout.fileno())
    try:
        PRELOADS.get(argv[1], _nothing)()
        text = sys.stdin.read()
        if not text:
            return 0  # started in advance, and not wanted in the end
        request = json.loads(text)
        if not isinstance(request, dict) or not isinstance(request.get("root"), str):
            raise InvalidParameter("worker: the request is no object with a root")
        paths = Paths(root=request["root"], run=str(request.get("run") or ""))
        events.finished(JOBS[argv[1]](paths, request, events))
    except EngineError as error:
        events.failed(error)
    except (BrokenPipeError, KeyboardInterrupt):
        return 1  # nobody wants the result any more
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        reason = (error.strerror or str(error)).lower()
        events.failed(SystemFailure(f"{argv[1]}{where}: {reason}", errno=error.errno))
    except (ValueError, KeyError, TypeError) as error:
        events.failed(InvalidParameter(f"{argv[1]}: invalid request: {error}"))
    return 1 if events.has_failed else 0


def _nothing() -> None:
    """What most jobs have to import before they know their request."""


if __name__ == "__main__":
    os.umask(0o077)
    # the engine waits for the end, and all is said and closed: tearing the interpreter down would only take time
    os._exit(main(sys.argv))
