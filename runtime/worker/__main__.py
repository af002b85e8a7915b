"""`python -m runtime.worker JOB` runs one job, request on stdin, events on stdout; with a descriptor's number it is the template.

The engine starts the template, which forks a process a job; a single job is for a look at one, and for tests.
"""

from __future__ import annotations

import os
import sys

from runtime.worker import job, template
from runtime.worker.jobs import JOBS


def main(argv: list[str]) -> int:
    """Run the job; the exit code is 0 if it finished, 1 if it failed, 2 for a wrong command line."""
    if len(argv) == 2 and argv[1].isdecimal():
        template.serve(int(argv[1]))
    if len(argv) != 2 or argv[1] not in JOBS:
        print(f"usage: python -m runtime.worker {'|'.join(sorted(JOBS))}", file=sys.stderr)
        return 2
    return job.run(argv[1], sys.stdin.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    os.umask(0o077)
    # the engine waits for the end, and all is said and closed: tearing the interpreter down would only take time
    os._exit(main(sys.argv))
