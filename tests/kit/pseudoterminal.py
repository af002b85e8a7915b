"""A command on a terminal of its own: what it shows, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIMEOUT = 20.0
_CODES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[78])")


class Terminal:
    """A context manager; the command is killed at its end if it still runs."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        self._seen = b""
        self._process = subprocess.Popen(
            # a session of its own whose controlling terminal is standard input, so that Ctrl-C means something
            ["setsid", "--ctty", "--wait", *command],
            cwd=folder,
            env={**environment, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._master)  # hangs up
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def text(self) -> str:
        """All that was shown, without the codes that colour it and move the cursor."""
        return _CODES.sub("", self._seen.decode("utf-8", "replace")).replace("\r\n", "\n")

    def until(self, wanted: str, timeout: float = TIMEOUT) -> str:
        """Wait until a text was shown since the last `type`; fails after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while wanted not in self.text:
            assert time.monotonic() < deadline, f"{wanted!r} was not shown: {self.text!r}"
            assert self._read(0.1) or self._process.poll() is None, f"ended without {wanted!r}: {self.text!r}"
        return self.text

    def type(self, keys: bytes) -> None:
        """Type, and forget what was shown before."""
        self._seen = b""
        os.write(self._master, keys)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """The exit code of the command."""
        deadline = time.monotonic() + timeout
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it goes on: {self.text!r}"
            self._read(0.1)
        while self._read(0.0):
            pass
        return self._process.returncode

    def _read(self, patience: float) -> bool:
        if not select.select([self._master], [], [], patience)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other side open
            time.sleep(min(patience, 0.02))
            return False
        self._seen += data
        return bool(data)
