"""Run the warm server: `python -m compose.cli.warm RUN [IDLE_SECONDS]`."""

from __future__ import annotations

import sys

from compose.cli.warm.server import IDLE_SECONDS, main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else IDLE_SECONDS))
