"""Enter a process into the container, by an errand: its parent is the shim, which keeps nothing else of the entering."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.oci import execin, plan
from runtime.shim import builder, errand

if TYPE_CHECKING:
    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim import streams


class Visit(NamedTuple):
    """A process that is to enter, and where."""

    init: int
    """Pidfd of the container's first process."""
    own_pidns: int
    """Of the shim's own pid namespace, for the way back."""
    process: dict[str, Any]
    ends: streams.Ends


Enter = Callable[["Kernel", "Layout", dict[str, Any], Visit], tuple[int, int, int]]
"""What `enter` is, or a rehearsal's stand-in."""


def enter(kernel: Kernel, layout: Layout, request: dict[str, Any], visit: Visit) -> tuple[int, int, int]:
    """Fork a process into the container of `request`: (pid, pidfd, error pipe).

    Raises the StartError of what failed before there was a process.
    """
    message, fds = errand.run(lambda: _enter(kernel, layout, request, visit))
    if "error" in message:
        raise errand.start_error(message)
    return message["pid"], fds[0], fds[1]


def _enter(kernel: Kernel, layout: Layout, request: dict[str, Any], visit: Visit) -> errand.Outcome:
    spec = builder.read_spec(request["bundle"])
    seccomp, _ = plan.seccomp_program(spec)
    kinds = {entry.get("type") for entry in (spec.get("linux") or {}).get("namespaces") or ()}
    cgroup = layout.manager(request["cgroup"])
    cgroup.adopt()
    ends = visit.ends
    pid, pidfd, sync = execin.enter(
        kernel,
        execin.Target(visit.init, visit.own_pidns, seccomp, user="user" in kinds),
        {**visit.process, "terminal": ends.console is not None},
        stdio=ends.child,
        cgroup=cgroup,
        console=ends.console,
        sibling=True,
    )
    return {"pid": pid}, [pidfd, sync]
