"""Carry an archive into the container: a child in its mount namespace, which executes nothing of the image.

The child stays outside the container's pid namespace and cgroup: its processes neither see it nor pay for it. After
setns nothing may be imported any more: the path leads into the image.
"""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import EngineError, SystemFailure
from runtime.linux import constants as c
from runtime.shim import extract, streams
from runtime.shim.loop import READ
from runtime.shim.pipeinput import PipeInput
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.shim.connection import Connection
    from runtime.shim.loop import Loop

_READ_SIZE = 64 * 1024


class ArchiveSession:
    """One archive of one client: STDIN frames are the tar stream, EXIT says what was done."""

    __slots__ = ("_client", "_input", "_loop", "_outcome", "_output", "_pid")

    def __init__(
        self, loop: Loop, kernel: Kernel, *, client: Connection, request: dict[str, Any], init: int, init_pidfd: int
    ) -> None:
        """`request`: `path` (a directory) and `delete` (a list of paths). Raises OSError when there is no child."""
        self._loop = loop
        self._client: Connection | None = client
        self._outcome = bytearray()
        stdin, ours = os.pipe()
        self._output, stdout = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _work(kernel, request, stdin, stdout, init, init_pidfd)
        os.close(stdin)
        os.close(stdout)
        streams.widen(ours)
        self._input = PipeInput(loop, ours, terminal=False)
        self._input.on_drain = self._resume
        loop.watch(self._output, READ, self._read)
        client.on_frame = self._frame
        client.on_close = self._gone
        client.send_json(frames.STARTED, {"Pid": self._pid})

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
        # The stream ends in the middle, which is an error to the child.
        self._client = None
        self._input.end()

    def _read(self, events: int) -> None:
        data = os.read(self._output, _READ_SIZE)
        self._outcome += data
        if data:
            return
        self._loop.unwatch(self._output)
        os.close(self._output)
        self._input.close()
        os.waitpid(self._pid, 0)
        client, self._client = self._client, None
        if client is None:
            return
        try:
            outcome = json.loads(self._outcome)
        except ValueError:
            outcome = SystemFailure("archive: the process that unpacks it ended without a word").to_wire()
        if "kind" in outcome:
            client.finish(frames.ERROR, outcome)
        else:
            client.finish(frames.EXIT, {"ExitCode": 1 if outcome["Failed"] else 0, **outcome})


def _work(kernel: Kernel, request: dict[str, Any], stdin: int, stdout: int, init: int, init_pidfd: int) -> NoReturn:
    """In the child."""
    code = 1
    try:
        _answer(stdout, _unpack(kernel, request, stdin, {stdout, init_pidfd}, init, init_pidfd))
        code = 0
    except EngineError as error:
        _answer(stdout, error.to_wire())
    except BaseException as error:  # nothing may return into the copy of the shim, nor be looked up for a traceback
        _answer(stdout, SystemFailure(f"archive: {error!r}").to_wire())
    finally:
        os._exit(code)


def _unpack(
    kernel: Kernel, request: dict[str, Any], stdin: int, keep: set[int], init: int, init_pidfd: int
) -> dict[str, Any]:
    _close_others(kernel, {0, 1, 2, stdin, *keep})
    os.umask(0)
    flags = c.CLONE_NEWNS
    user = os.stat(f"/proc/{init}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino
    kernel.setns(init_pidfd, flags | c.CLONE_NEWUSER if user else flags)
    if user:
        kernel.setresgid(0, 0, 0)
        kernel.setresuid(0, 0, 0)
    kernel.prctl(c.PR_SET_DUMPABLE, 0)
    root = os.open("/", extract.ROOT)
    extraction = extract.Extraction(kernel, root)
    extraction.delete(request.get("delete") or ())
    with io.FileIO(stdin) as raw, io.BufferedReader(raw, _READ_SIZE) as stream:
        extraction.unpack(str(request.get("path") or "/"), stream)
    return extraction.outcome()


def _close_others(kernel: Kernel, keep: set[int]) -> None:
    """The input of somebody else's process would not end while a copy of its write side is open here."""
    first = 0
    for fd in sorted(keep):
        if fd > first:
            kernel.close_range(first, fd - 1)
        first = fd + 1
    kernel.close_range(first)


def _answer(fd: int, message: dict[str, Any]) -> None:
    view = memoryview(json.dumps(message).encode())
    while view:
        view = view[os.write(fd, view) :]
