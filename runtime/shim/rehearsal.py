"""Live a shim's life a few times before the first fork, so that no shim has to write what Python writes on first use.

CPython specialises bytecode and fills method caches in place, and each page so written after a fork is a shim's own:
a third of the 2 MB that one took. The stand-in for a container is a child that waits for its start and for its end.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from runtime.linux import constants as c
from runtime.linux.treeremoval import remove_tree
from runtime.oci import create
from runtime.shim import builder, shim, streams
from runtime.shim.loop import complain
from runtime.version import PROTOCOL, VERSION
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel

ROUNDS = 10
"""Code is specialised in its eighth to tenth run."""

_STAND_IN_SECONDS = 5
"""After which a stand-in ends by itself: a rehearsal that failed has not killed it."""


def rehearse(kernel: Kernel, layout: Layout, directory: str, surroundings: shim.Surroundings) -> None:
    """Run in the zygote; what fails is complained about and costs memory only. `directory` is made and removed."""
    try:
        for _ in range(ROUNDS):
            _live(kernel, layout, directory, surroundings)
    except Exception as error:  # a shim that was not rehearsed works as well
        complain(f"rehearsal: {type(error).__name__}: {error}")
    remove_tree(directory, kernel)


def _live(kernel: Kernel, layout: Layout, directory: str, surroundings: shim.Surroundings) -> None:
    ours, theirs = seqpacket.pair()
    request = {
        "id": "rehearsal",
        "log": {"path": f"{directory}/log", "max_size": 0, "max_file": 1},
        "exit_record": f"{directory}/exit.json",
        "socket": f"{directory}/socket",
        "cgroup": "pycompose/rehearsal",
    }
    control = theirs.detach()
    player = shim.Shim(kernel, layout, request, control=control, held={}, surroundings=surroundings)
    with ours:
        built = player.begin(control, _stand_in)
        for message in ({"type": "hello", "version": VERSION, "protocol": PROTOCOL}, {"type": "go"}):
            seqpacket.send(ours, message)
            player.step()
        player.step()  # the line of output
        os.kill(built.pid, signal.SIGKILL)
        os.waitpid(built.pid, 0)
        player.close()


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
