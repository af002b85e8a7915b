"""Start the warm server behind a cold command that went well: the next one finds it."""

from __future__ import annotations

import os
import sys

from compose.cli.warm import wire
from compose.cli.warm.front import PACKAGE, SWITCH
from runtime.paths import from_environment

HOT = frozenset(
    {
        "build",
        "config",
        "create",
        "down",
        "exec",
        "images",
        "kill",
        "logs",
        "ls",
        "ps",
        "restart",
        "rm",
        "scale",
        "start",
        "stop",
    }
    | {"top", "up"}
)
"""Commands that people and test suites repeat."""


def start(arguments: list[str]) -> None:
    """Start it if the command is a hot one, the engine is there and no server is; failure is no matter."""
    if os.environ.get(SWITCH) == "0" or not HOT & set(arguments):
        return
    from runtime.client.autostart import lock_is_held

    run = from_environment(os.environ, os.geteuid()).run
    path = wire.socket_path(run, os.geteuid())
    # its lock, for the socket of a server that was killed may lie there still
    if not os.path.exists(f"{run}/engine.sock") or lock_is_held(f"{path}.lock"):
        return
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": PACKAGE, "LANG": "C.UTF-8"}
    try:
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "compose.cli.warm", run],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
        )
    except OSError:
        return
