"""Live a shim's life a few times before the first fork, so that no shim has to write what Python writes on first use.

CPython specialises bytecode and fills method caches in place, and each page so written after a fork is a shim's own:
a third of the 2 MB that one took. The stand-in for a container is a child that waits for its start and for its end,
that for what enters it is one that writes a line and ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.linux import constants as c
from runtime.linux.treeremoval import remove_tree
from runtime.oci import create
from runtime.shim import builder, shim, streams
from runtime.shim.loop import complain
from runtime.version import PROTOCOL, VERSION
from runtime.wire import frames, seqpacket, unixsocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim.entering import Visit
    from runtime.shim.respawn import Surroundings

ROUNDS = 10
"""Code is specialised in its eighth to tenth run."""

_STAND_IN_SECONDS = 5
"""After which a stand-in ends by itself: a rehearsal that failed has not killed it."""


def rounds(kernel: Kernel, layout: Layout, directory: str, surroundings: Surroundings) -> Iterator[None]:
    """Run in the zygote, a life at each step; `directory` is made, and removed after the last.

    What fails is complained about and costs memory only.
    """
    try:
        for _ in range(ROUNDS):
            _live(kernel, layout, directory, surroundings)
            yield
    except Exception as error:  # a shim that was not rehearsed works as well
        complain(f"rehearsal: {type(error).__name__}: {error}")
    remove_tree(directory, kernel)


def _live(kernel: Kernel, layout: Layout, directory: str, surroundings: Surroundings) -> None:
    ours, theirs = seqpacket.pair()
    socket_path = f"{directory}/socket"
    request = {
        "id": "rehearsal",
        "bundle": directory,
        "log": {"path": f"{directory}/log", "max_size": 0, "max_file": 1},
        "exit_record": f"{directory}/exit.json",
        "socket": socket_path,
        "cgroup": "pycompose/rehearsal",
    }
    control = theirs.detach()
    player = shim.Shim(kernel, layout, request, control=control, held={}, surroundings=surroundings, enter=_visitor)
    with ours:
        built = player.begin(control, _stand_in)
        if built.failure is not None:
            player.close()
            raise built.failure
        for message in ({"type": "hello", "version": VERSION, "protocol": PROTOCOL}, {"type": "go"}):
            seqpacket.send(ours, message)
            player.step()
        player.step()  # the line of output
        _visit(player, ours, socket_path)
        os.kill(built.pid, signal.SIGKILL)
        os.waitpid(built.pid, 0)
        player.close()


def _visit(player: shim.Shim, engine: socket.socket, path: str) -> None:
    """A probe and an exec, side by side: most of their time goes into the ends of the stand-ins."""
    client, theirs = socket.socketpair()
    with client:
        with theirs, unixsocket.connect(path, socket.SOCK_SEQPACKET) as peer:
            seqpacket.send(peer, {"type": "client"}, [theirs.fileno()])
        request = {"exec": {"id": "rehearsal", "process": {}, "stdin": True}}
        client.sendall(frames.encode(frames.START, json.dumps(request).encode()) + frames.encode(frames.EOF))
        seqpacket.send(engine, {"type": "probe", "id": "rehearsal", "process": {}, "timeout": _STAND_IN_SECONDS})
        engine.setblocking(False)
        client.setblocking(False)
        for ended in (partial(_has_result, engine), partial(_has_ended, client)):
            while not ended():
                player.step()
    player.step()  # the client's end


def _has_result(engine: socket.socket) -> bool:
    """Whether the probe's result has come, after what was said before."""
    try:
        while True:
            message, fds = seqpacket.recv(engine)
            seqpacket.close_all(fds)
            if message["type"] == "probe_result":
                return True
    except BlockingIOError:
        return False


def _has_ended(client: socket.socket) -> bool:
    """Whether the exec's stream has come to its end."""
    try:
        while client.recv(4096):
            pass
    except BlockingIOError:
        return False
    return True


def _visitor(kernel: Kernel, layout: Layout, request: dict[str, Any], visit: Visit) -> tuple[int, int, int]:
    """A child that writes a line to its stdout and ends."""
    ours, theirs = create.socket_pair()
    pid, pidfd = kernel.clone3(0)
    if pid == 0:
        try:
            if visit.ends.child[1] is not None:
                os.write(visit.ends.child[1], b"rehearsal\n")
        finally:
            os._exit(0)
    os.close(theirs)
    return pid, pidfd, ours


def _stand_in(kernel: Kernel, layout: Layout, request: dict[str, Any], held: dict[str, int]) -> builder.Made:
    """In the errand: a sibling that writes a line to its stdout when it is told to go, and waits for its end."""
    ours, theirs = create.socket_pair()
    ends = streams.pipes(stdin=False)
    pid, pidfd = kernel.clone3(0, sibling=True)
    if pid == 0:
        try:
            os.close(ours)
            kernel.prctl(c.PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.alarm(_STAND_IN_SECONDS)
            os.read(theirs, 16)
            if ends.child[1] is not None:
                os.write(ends.child[1], b"rehearsal\n")
            os.close(theirs)
            signal.pause()
        finally:
            os._exit(0)
    ends.close_child()
    os.close(theirs)
    return builder.Made(pid, pidfd, ours, ends, [])
