"""The builder's side of the executor: start it once, send it a RUN from any thread, wait for that RUN's end."""

from __future__ import annotations

import itertools
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.build import executor
from runtime.errors import SystemFailure, from_wire
from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    Spawn = Callable[[str, int, int], int]
    """Start `python -c PROGRAM` from a sealed copy of the interpreter with a descriptor in place of another; its pid."""

_CHUNK = 1 << 16


class Ended(NamedTuple):
    """How a build container ended: its exit code (128 + n after a signal), that signal, whether memory ran out."""

    code: int
    signal: int
    oom: bool


class Containers:
    """Runs build containers; `spawn` starts the executor when the first one is wanted."""

    def __init__(self, spawn: Spawn, cgroup: str) -> None:
        self._spawn = spawn
        self._cgroup = cgroup
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._pid = 0
        self._answers: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._free: list[int] = []
        self._slots = itertools.count()
        self._ids = itertools.count(1)
        self._lost = False

    def warm_up(self) -> None:
        """Start the executor now; whoever needs it soon need not wait for its imports."""
        with self._lock:
            self._connect()

    def run(self, spec: dict[str, Any], network: int | None, output: Callable[[bytes], None]) -> Ended:
        """Run one container to its end; `output` gets what it prints. Raises StartError's kinds, SystemFailure.

        `network`: descriptor of the network namespace to join, None for what the spec says.
        """
        identifier = f"run-{next(self._ids)}"
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            with self._lock:
                sock = self._connect()
                slot = self._free.pop() if self._free else next(self._slots)
                self._answers[identifier] = answers
            try:
                fds = [writer] if network is None else [writer, network]
                message = {"type": "run", "id": identifier, "spec": spec, "cgroup": f"{self._cgroup}/{slot}"}
                with self._lock:
                    seqpacket.send(sock, message, fds)
                os.close(writer)
                writer = -1
                while data := os.read(reader, _CHUNK):
                    output(data)
                return self._wait(answers)
            finally:
                with self._lock:
                    del self._answers[identifier]
                    self._free.append(slot)
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)

    def kill_all(self) -> None:
        """End what runs, so that every `run` returns."""
        with self._lock:
            for identifier in self._answers if self._socket is not None else ():
                if self._socket is not None:
                    seqpacket.send(self._socket, {"type": "kill", "id": identifier})

    def close(self) -> None:
        """End the executor and wait until it has cleaned up."""
        with self._lock:
            sock, self._socket = self._socket, None
        if sock is not None:
            sock.shutdown(2)  # the reader thread holds the socket as well
            os.waitpid(self._pid, 0)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            if self._lost:
                raise SystemFailure("build executor: it died")
            ours, theirs = seqpacket.pair()
            with theirs:
                self._pid = self._spawn(executor.PROGRAM, theirs.fileno(), executor.SOCKET_FD)
            self._socket = ours
            threading.Thread(target=self._read, args=(ours,), name="executor", daemon=True).start()
        return self._socket

    def _read(self, sock: socket.socket) -> None:
        try:
            while True:
                message, _ = seqpacket.recv(sock)
                with self._lock:
                    answers = self._answers.get(str(message["id"]))
                if answers is not None:
                    answers.put(message)
        except (EOFError, OSError):
            self._lost = True
            with self._lock:
                waiting = list(self._answers.values())
            failure = SystemFailure("build executor: it died").to_wire()
            for answers in waiting:
                answers.put({"type": "failed", "error": failure, "exit_code": 125})

    @staticmethod
    def _wait(answers: queue.SimpleQueue[dict[str, Any]]) -> Ended:
        while True:
            message = answers.get()
            if message["type"] == "failed":
                error = from_wire(message["error"])
                error.fields["exit_code"] = message["exit_code"]
                raise error
            if message["type"] == "exited":
                return Ended(int(message["code"]), int(message["signal"]), bool(message["oom"]))
