"""Give private key files to agents of their own for the time of a build: BuildKit takes files where agents are expected.

An agent is told to end, and ends by itself within seconds of our death. Keys never reach the engine: it only sees the agent's socket.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Self

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class KeyAgents:
    """Agents by the key files that they hold; all end with the `with` block."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._sockets: dict[tuple[str, ...], str] = {}
        self._running: list[tuple[subprocess.Popen[bytes], int]] = []
        """What an agent lives as long as, and the agent's pid."""
        self._place = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for holder, agent in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent, signal.SIGTERM)
            holder.communicate()  # closes its input
        if self._place:
            shutil.rmtree(self._place, ignore_errors=True)

    def socket(self, keys: Sequence[str], what: str) -> str:
        """The socket of an agent with these keys; `what` is for messages. Raises ComposeError.

        A key with a passphrase asks for it on the terminal.
        """
        wanted = tuple(keys)
        found = self._sockets.get(wanted)
        if found is None:
            found = self._sockets[wanted] = self._start(wanted, what)
        return found

    def _start(self, keys: tuple[str, ...], what: str) -> str:
        if not self._place:
            self._place = tempfile.mkdtemp(prefix="pycompose-ssh-")
        path = f"{self._place}/agent-{len(self._running)}"
        try:
            holder = subprocess.Popen(
                ["ssh-agent", "-a", path, "sh", "-c", "echo $SSH_AGENT_PID; exec cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environ,
            )
            assert holder.stdout is not None
            pid = holder.stdout.readline().strip()  # it has a socket before it starts its command
            if not pid:
                raise ComposeError(f"{what}: ssh-agent ended at once with code {holder.wait()}")
            self._running.append((holder, int(pid)))
            added = subprocess.run(
                ["ssh-add", "-q", *keys],
                env={**self._environ, "SSH_AUTH_SOCK": path},
                stderr=subprocess.PIPE,
                check=False,
            )
        except FileNotFoundError:
            raise ComposeError(
                f"{what}: a key file needs ssh-agent and ssh-add (install openssh-client), or an agent that has the key"
            ) from None
        if added.returncode:
            said = added.stderr.decode("utf-8", "replace").strip().splitlines() or [str(added.returncode)]
            reason = next((line for line in said if "Permissions" in line), said[-1]).rstrip(".")
            raise ComposeError(f"{what}: ssh-add does not take the key: {reason}")
        return path
