"""Carry archives into a container and out of it: a child in its mount namespace, which executes nothing of the image.

The child stays outside the container's pid namespace and cgroup: its processes neither see it nor pay for it. After
setns nothing may be imported any more: the path leads into the image.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import EngineError, SystemFailure
from runtime.linux import constants as c
from runtime.shim import extract, fileaccess, streams
from runtime.shim.loop import READ
from runtime.shim.pipeinput import PipeInput
from runtime.wire import frames, seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.shim.connection import Connection
    from runtime.shim.loop import Loop

_READ_SIZE = 64 * 1024


class ArchiveSession:
    """One archive of one client: STDIN frames are a tar stream in, STDOUT frames one out, EXIT says what was done."""

    __slots__ = ("_client", "_data", "_done", "_input", "_loop", "_outcome", "_output", "_pid")

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        *,
        client: Connection,
        request: dict[str, Any],
        enter: Callable[[], int],
        keep: set[int],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """`enter` takes the child to the container's files and gives their root; it needs the descriptors `keep`.

        `done` is called when nothing is left. Raises OSError when there is no child.
        """
        self._loop = loop
        self._client: Connection | None = client
        self._done = done
        self._outcome = bytearray()
        pipes = streams.several_pipes(3)
        (stdin, ours), (self._output, stdout), (self._data, sink) = pipes
        try:
            self._pid = os.fork()
        except OSError:
            seqpacket.close_all([fd for pipe in pipes for fd in pipe])
            raise
        if self._pid == 0:
            _work(kernel, request, (stdin, sink, stdout), enter, keep)
        for fd in (stdin, stdout, sink):
            os.close(fd)
        streams.widen(ours)
        streams.widen(self._data)
        self._input = PipeInput(loop, ours, terminal=False)
        self._input.on_drain = self._resume
        loop.watch(self._output, READ, self._read)
        client.on_frame = self._frame
        client.on_close = self._gone
        client.on_drain = self._watch_data
        client.send_json(frames.STARTED, {"Pid": self._pid})
        self._watch_data()

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind == frames.EOF:
            self._input.end()
        elif kind == frames.STDIN:
            self._input.write(payload)
            if self._input.full and self._client is not None:
                self._client.pause()

    def _resume(self) -> None:
        if self._client is not None:
            self._client.resume()

    def _gone(self) -> None:
        # A stream in ends in the middle, which is an error to the child; one out finds no reader.
        self._client = None
        self._input.end()
        self._close_data()

    def _watch_data(self) -> None:
        if self._data >= 0 and not self._loop.watching(self._data):
            self._loop.watch(self._data, READ, self._send_data)

    def _send_data(self, events: int) -> None:
        data = os.read(self._data, _READ_SIZE)
        if not data:
            self._close_data()
            return
        if self._client is not None:
            self._client.send(frames.STDOUT, data)
            if self._client.congested:
                self._loop.unwatch(self._data)

    def _close_data(self) -> None:
        if self._data < 0:
            return
        self._loop.unwatch(self._data)
        os.close(self._data)
        self._data = -1
        if self._output < 0:
            self._finish()

    def _read(self, events: int) -> None:
        data = os.read(self._output, _READ_SIZE)
        self._outcome += data
        if data:
            return
        self._loop.unwatch(self._output)
        os.close(self._output)
        self._output = -1
        if self._data < 0:
            self._finish()

    def _finish(self) -> None:
        """The child closed both: what it wrote is sent, how it ended is to be told."""
        self._input.close()
        os.waitpid(self._pid, 0)
        client, self._client = self._client, None
        if client is not None:
            self._answer(client)
        self._done()

    def _answer(self, client: Connection) -> None:
        try:
            outcome = json.loads(self._outcome)
        except ValueError:
            outcome = SystemFailure("archive: the process that reads and writes it ended without a word").to_wire()
        if "kind" in outcome:
            client.send_json(frames.ERROR, outcome)
        else:
            client.send_json(frames.EXIT, {"ExitCode": 1 if outcome.get("Failed") else 0, **outcome})
        client.finish()


def enter_running(kernel: Kernel, init: int, init_pidfd: int) -> int:
    """Go to the mount namespace of a container's first process; a descriptor of its root directory."""
    flags = c.CLONE_NEWNS
    user = os.stat(f"/proc/{init}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino
    kernel.setns(init_pidfd, flags | c.CLONE_NEWUSER if user else flags)
    if user:
        kernel.setresgid(0, 0, 0)
        kernel.setresuid(0, 0, 0)
    kernel.prctl(c.PR_SET_DUMPABLE, 0)
    return os.open("/", extract.ROOT)


def _work(
    kernel: Kernel, request: dict[str, Any], ends: tuple[int, int, int], enter: Callable[[], int], keep: set[int]
) -> NoReturn:
    """In the child. `ends`: where a stream comes from, where one goes to, where the outcome goes to."""
    source, sink, outcome = ends
    code = 1
    try:
        fileaccess.close_others(kernel, {*ends, *keep})
        os.umask(0)
        _tell(outcome, fileaccess.serve(kernel, enter(), request, source, sink))
        code = 0
    except BrokenPipeError:
        pass  # nobody wants it any more
    except EngineError as error:
        _tell(outcome, error.to_wire())
    except OSError as error:
        _tell(outcome, SystemFailure(f"archive: {(error.strerror or str(error)).lower()}").to_wire())
    except BaseException as error:  # nothing may return into the copy of the shim, nor be looked up for a traceback
        _tell(outcome, SystemFailure(f"archive: {error!r}").to_wire())
    finally:
        os._exit(code)


def _tell(fd: int, message: dict[str, Any]) -> None:
    fileaccess.write_all(fd, json.dumps(message).encode())
