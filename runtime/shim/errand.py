"""Do something in a child that ends with it: what it wrote to of the memory shared with the zygote goes with it.

Python writes to what it only looks at (reference counts). Reading a spec and planning a root file system touch more
than a megabyte of pages, which a shim would keep as its own for as long as its container runs.
"""

from __future__ import annotations

import _socket
import os
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = tuple[dict[str, Any], list[int]]
"""A message and descriptors."""


def run(work: Callable[[], Outcome]) -> Outcome:
    """The outcome of `work`, done in a child; `{"error": ...}` (see start_error) when it raised or the child was killed.

    The child is still ending then; collect() is to be called some time later.
    """
    collect()
    # The C function: socket.socketpair works on enumerations, at 0.2 MB of pages written to.
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _work(work, theirs)
    theirs.close()
    try:
        return seqpacket.recv(ours)
    except (EOFError, OSError, ValueError):  # the last: descriptors that there was no room for
        return {"fds": [], "error": SystemFailure("shim: its child ended without a word").to_wire()}, []
    finally:
        ours.close()
        _ending.append(pid)


def collect() -> None:
    """Reap what has run an errand. A millisecond after its outcome there is nothing to wait for any more."""
    while _ending:
        try:
            os.waitpid(_ending.pop(), 0)
        except ChildProcessError:
            pass


_ending: list[int] = []


def failure(error: BaseException) -> dict[str, Any]:
    """The message about an error: `error`, and `stage` and `exit_code` where they are known."""
    if isinstance(error, StartError):
        return {"stage": error.stage, "exit_code": error.exit_code, "error": error.to_wire()}
    if isinstance(error, EngineError):
        return {"error": error.to_wire()}
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return {"error": SystemFailure(f"create{where}: {(error.strerror or str(error)).lower()}").to_wire()}
    return {"error": InvalidParameter(f"start request: malformed, {error!r}").to_wire()}


def start_error(message: dict[str, Any]) -> StartError:
    """The error of a failure message; its wire form has the kind it had in the child."""
    error = message["error"]
    return StartError(
        str(message.get("stage", "create")),
        int(message.get("exit_code", ENGINE_FAILED)),
        error["message"],
        error["kind"],
        **error["fields"],
    )


def reap_all() -> None:
    """After a failed errand: a process it made as a sibling has been killed, and its exit status is its parent's to take."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _work(work: Callable[[], Outcome], sock: _socket.socket) -> None:
    """In the child; never returns."""
    try:
        seqpacket.send(sock, *work())
    except BaseException as error:  # nothing may return into the copy of the shim
        seqpacket.send(sock, {"fds": [], **failure(error)})
    finally:
        os._exit(0)
