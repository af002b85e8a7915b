"""Hand the command line to the warm server, if there is one that fits; the whole client, about 5 ms.

Imports only what the interpreter has loaded or has built in. Every failure before the server accepted means: run the
command here, cold. After that the command is the server's, and the front passes signals on and waits.
"""

from __future__ import annotations

import os
import sys

from compose.cli.warm import wire
from runtime.paths import from_environment
from runtime.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SWITCH = "PYCOMPOSE_WARM"
SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCONT, SIGTSTP, SIGWINCH, SIGSTOP = 1, 2, 3, 15, 18, 20, 28, 19
PASSED_ON = (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH)
LOCALES = ("LC_ALL", "LC_CTYPE", "LANG")
PLAIN_LOCALES = frozenset({"", "C", "POSIX"})
CONNECT_TIMEOUT = 2.0
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CREDENTIALS = 17
"""SO_PEERCRED."""


def run(arguments: list[str]) -> int | None:
    """The exit code of the command as the warm server ran it; None: nobody did, run it cold."""
    if os.environ.get(SWITCH) == "0" or not _suits(os.environ):
        return None
    connection = _connect()
    if connection is None:
        return None
    try:
        if not _send(connection, arguments):
            return None
        return _accompany(connection)
    finally:
        connection.close()


def _suits(environ: os._Environ[str]) -> bool:
    """Whether text goes in and out as UTF-8, as it does in the server."""
    if environ.get("PYTHONIOENCODING") or (environ.get("PYTHONPATH") or PACKAGE) != PACKAGE:
        return False
    chosen = next((environ[name] for name in LOCALES if environ.get(name)), "")
    return chosen in PLAIN_LOCALES or "UTF-8" in chosen.upper() or "UTF8" in chosen.upper()


def _connect() -> Any:
    """A connected `_socket.socket` (the module socket costs 3 ms), or None."""
    import _socket

    path = wire.socket_path(from_environment(os.environ, os.geteuid()).run, os.geteuid())
    if not os.path.exists(path):
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_TIMEOUT)
        directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        finally:
            os.close(directory)
        owner = int.from_bytes(connection.getsockopt(_socket.SOL_SOCKET, CREDENTIALS, 12)[4:8], sys.byteorder)
    except OSError:
        connection.close()
        return None
    if owner != os.geteuid():
        connection.close()
        return None
    return connection


def _send(connection: Any, arguments: list[str]) -> bool:
    """Send the request; whether the server accepted it."""
    import _socket

    umask = os.umask(0o077)
    os.umask(umask)
    fields = [
        VERSION.encode(),
        os.fsencode(PACKAGE),
        os.fsencode(sys.executable),
        str(umask).encode(),
        str(len(arguments)).encode(),
        *map(os.fsencode, arguments),
    ]
    for name, value in os.environb.items():
        fields += (name, value)
    opened = []
    try:
        directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.append(directory)
        rights = b"".join([fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, directory)])
        request = wire.encode(fields)
        sent = connection.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        if sent < len(request):  # else it may be done already, and to send nothing to a closed end is an error
            connection.sendall(request[sent:])
        return bool(connection.recv(1) == wire.ACCEPTED)
    except OSError:
        return False
    finally:
        for fd in opened:
            os.close(fd)


def _accompany(connection: Any) -> int:
    """Pass signals on and wait for the end of the command; end as it did."""
    import _signal  # type: ignore[import-not-found]  # the module signal makes enumerations: 2 ms

    def pass_on(number: int, frame: object) -> None:
        try:
            connection.send(wire.SIGNAL + bytes([number]))
        except OSError:
            pass

    def suspend(number: int, frame: object) -> None:
        # The command shall stand still with us, and go on with us.
        pass_on(SIGSTOP, frame)
        os.kill(os.getpid(), SIGSTOP)

    connection.settimeout(None)
    for number in (*PASSED_ON, SIGCONT):
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, pass_on)
    if _signal.getsignal(SIGTSTP) != _signal.SIG_IGN:
        _signal.signal(SIGTSTP, suspend)
    answer = b""
    while len(answer) < 2:
        part = connection.recv(2 - len(answer))
        if not part:
            sys.stderr.write("pycompose: the warm command line ended in the middle of the command\n")
            return 1
        answer += part
    if answer[:1] == wire.KILLED:
        _signal.signal(answer[1], _signal.SIG_DFL)
        os.kill(os.getpid(), answer[1])
    return answer[1]
