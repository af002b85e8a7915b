"""The template of all workers: one process that has imported what jobs need, and forks a child for each.

An interpreter that starts and imports takes 100 to 300 ms, a fork 1 ms; a child is as much on its own as if it had been
exec'd: it is killed by its pid and ends by `_exit`. Forking is safe here, for nothing but this loop ever runs: no thread,
no lock held, no request read (a child reads its own, so what it says of credentials never comes by). One engine has one
template, at the other end of a socket that nobody else has: it ends with its engine, the children go on to their end.

A fork shares its pages until they are written to, and Python writes to what it looks at: half of a short job's time goes
into copying them. So after a job a child for the next one is forked in advance, and copies them while nobody waits.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.linux.ownpages import populate
from runtime.wire import seqpacket
from runtime.worker import job
from runtime.worker.jobs import PRELOADS

if TYPE_CHECKING:
    from collections.abc import Callable

REST = 0.01
"""Seconds without anything to do before the next child is made ready: what comes right behind a job goes first."""
_COMM = 15
"""Bytes that the kernel keeps of a process's name."""


def serve(control: int) -> NoReturn:
    """Answer requests on a SEQPACKET socket until its other end closes; never returns.

    `{"job", "fds": [NAME...]}` with the request's descriptor, that for events and those named -> `{"pid"}` with a pidfd;
    when the job has ended `{"ended": pid, "code": exit code, negative for a signal}`.
    """
    os.set_inheritable(control, False)
    _Template(socket.socket(fileno=control)).serve()


class _Template:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._children: dict[int, int] = {}
        """Pids by pidfd."""
        self._ready: tuple[socket.socket, int] | None = None
        """A child that waits for its job: our end of its socket, and its pid."""
        self._preloaded: set[Callable[[], None]] = set()
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        # many objects, and no cycles: the collector would only copy pages
        gc.set_threshold(200_000, 20, 20)
        _freeze()

    def serve(self) -> NoReturn:
        """Answer until the engine is gone."""
        worked = False
        while True:
            found = self._poll.poll(REST * 1000 if worked and self._ready is None else None)
            if not found:
                self._make_ready()
            worked = bool(found)
            for fd, _ in found:
                if fd in self._children:
                    self._reap(fd)
                    continue
                try:
                    message, fds = seqpacket.recv(self._sock)
                except (EOFError, OSError):
                    os._exit(0)
                self._begin(message, fds)

    def _begin(self, message: dict[str, Any], fds: list[int]) -> None:
        self._preload(str(message["job"]))
        pid = self._give(message, fds) or self._fork(lambda: (message, fds))
        seqpacket.close_all(fds)
        pidfd = next(pidfd for pidfd, child in self._children.items() if child == pid)
        self._tell({"pid": pid}, [pidfd])

    def _give(self, message: dict[str, Any], fds: list[int]) -> int:
        """Let the child that waits have the job; 0 if there is none, or no more."""
        if self._ready is None:
            return 0
        (sock, pid), self._ready = self._ready, None
        with sock:
            try:
                seqpacket.send(sock, message, fds)
            except OSError:
                return 0
        return pid

    def _make_ready(self) -> None:
        """Fork a child that waits for a job, and meanwhile gets what it will write to for its own."""
        ours, theirs = seqpacket.pair()

        def wait() -> tuple[dict[str, Any], list[int]]:
            ours.close()
            populate()
            with theirs:
                return seqpacket.recv(theirs)

        with theirs:
            self._ready = ours, self._fork(wait)

    def _fork(self, get: Callable[[], tuple[dict[str, Any], list[int]]]) -> int:
        """The pid of a child that runs the job which `get` gives it."""
        pid = os.fork()
        if pid == 0:
            self._become(get)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        return pid

    def _preload(self, name: str) -> None:
        """Import what the job needs and no other has needed so far: its next child has it."""
        preload = PRELOADS.get(name)
        if preload is not None and preload not in self._preloaded:
            if self._ready is not None:
                self._ready[0].close()  # it lacks what is imported now, and ends
                self._ready = None
            preload()
            self._preloaded.add(preload)
            _freeze()

    def _become(self, get: Callable[[], tuple[dict[str, Any], list[int]]]) -> NoReturn:
        """In the child: let go of everything that is not its job's, and run that."""
        code = 1
        try:
            self._sock.close()
            seqpacket.close_all(list(self._children))
            message, fds = get()
            name = str(message["job"])
            _name_process(name)
            code = job.run(name, fds[0], fds[1], dict(zip(message["fds"], fds[2:], strict=True)))
        except EOFError:
            code = 0  # never needed
        except BaseException:  # a bug: it is told as an uncaught one is, in the engine's log
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        if self._ready is not None and self._ready[1] == pid:
            self._ready[0].close()
            self._ready = None
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)}, [])

    def _tell(self, message: dict[str, Any], fds: list[int]) -> None:
        try:
            seqpacket.send(self._sock, message, fds)
        except OSError:
            os._exit(0)  # the engine is gone


def _freeze() -> None:
    """What is there now is there for good: the collector of a child need not look at it, nor copy its pages."""
    gc.collect()
    gc.freeze()


def _name_process(name: str) -> None:
    """Have lists of processes show what this one does: its command line is the template's."""
    with open("/proc/self/comm", "w", encoding="utf-8") as file:
        file.write(name[:_COMM])
