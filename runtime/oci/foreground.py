"""Stay in front of a container for a user at a terminal: forward signals or keys, wait, give the exit status."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import termios
import tty
from typing import TYPE_CHECKING, Any, Final, Self

from runtime.errors import SystemFailure
from runtime.linux import atomicfile
from runtime.linux import constants as c
from runtime.linux import pidfd as handles
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.linux.syscalls import Kernel

_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_BLOCK: Final = 65536


class Terminal:
    """The container's terminal shown on ours. Not `wanted`: does nothing."""

    __slots__ = ("_client", "_directory", "_listener", "_saved", "master", "path", "wanted")

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.master = -1
        self.path = ""
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._directory = ""
        self._saved: list[object] | None = None

    def __enter__(self) -> Self:
        if self.wanted:
            import tempfile

            self._directory = tempfile.mkdtemp(prefix="pycompose-oci-")
            self.path = f"{self._directory}/console"
            self._listener = unixsocket.listen(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]  # what tcgetattr gave
        if self._listener is not None:
            self._listener.close()
            os.unlink(self.path)
            os.rmdir(self._directory)
        if self._client is not None:
            self._client.close()
        if self.master >= 0:
            os.close(self.master)

    def channel(self, given: str) -> int | None:
        """A descriptor to send a master over: connected to the socket at `given`, or to ourselves."""
        path = given or self.path
        if not path:
            return None
        self._client = unixsocket.connect(path)
        return self._client.fileno()

    def accept(self) -> None:
        """Take the master that the container has sent, and make our terminal transparent."""
        if self._listener is None:
            return
        peer, _ = self._listener.accept()
        with peer:
            _, received, _, _ = socket.recv_fds(peer, 256, 1)
        if not received:
            raise SystemFailure("console: the container sent no terminal")
        self.master = received[0]
        if os.isatty(0):
            self.resize()
            self._saved = list(termios.tcgetattr(0))
            tty.setraw(0)

    def resize(self) -> None:
        size = fcntl.ioctl(0, c.TIOCGWINSZ, struct.pack("=HHHH", 0, 0, 0, 0))
        fcntl.ioctl(self.master, c.TIOCSWINSZ, size)


def console_size() -> dict[str, Any]:
    """`consoleSize` of a process section as our terminal is; empty where we have none."""
    if not os.isatty(0):
        return {}
    size = os.get_terminal_size(0)
    return {"consoleSize": {"height": size.lines, "width": size.columns}}


def forward_signals(kernel: Kernel, pidfd: int) -> None:
    """From now on what is sent to us is sent on."""

    def forward(number: int, _: object) -> None:
        handles.send_signal(kernel, pidfd, number)

    for number in _FORWARDED:
        signal.signal(number, forward)


def wait(pid: int, pidfd: int, terminal: Terminal) -> int:
    """Until the child `pid` ends: its exit status as a shell gives it."""
    if terminal.master >= 0:
        if os.isatty(0):
            signal.signal(signal.SIGWINCH, lambda *_: terminal.resize())
        _copy(terminal.master, pidfd)
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _copy(master: int, pidfd: int) -> None:
    """Both ways, until the process has ended and what it wrote is shown; others may keep the terminal open."""
    poll = select.poll()
    for fd in (master, 0, pidfd):
        poll.register(fd, select.POLLIN)
    ended = False
    while True:
        ready = poll.poll(0 if ended else None)
        if ended and not any(fd == master for fd, _ in ready):
            return
        for fd, _ in ready:
            if fd == pidfd:
                ended = True
                poll.unregister(pidfd)
                continue
            try:
                data = os.read(fd, _BLOCK)
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
            if fd == master:
                if not data:
                    return
                atomicfile.write_all(1, data)
            elif data:
                atomicfile.write_all(master, data)
            else:
                poll.unregister(0)
