"""Enter a process into the container, by an errand: its parent is the shim, which keeps nothing else of the entering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from runtime.oci import execin, plan
from runtime.shim import builder, errand

if TYPE_CHECKING:
    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim import streams


class Enter(Protocol):
    """What `enter` is, or a rehearsal's stand-in."""

    def __call__(
        self,
        kernel: Kernel,
        layout: Layout,
        request: dict[str, Any],
        *,
        init: int,
        own_pidns: int,
        process: dict[str, Any],
        ends: streams.Ends,
    ) -> tuple[int, int, int]: ...


def enter(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    init: int,
    own_pidns: int,
    process: dict[str, Any],
    ends: streams.Ends,
) -> tuple[int, int, int]:
    """Fork `process` into the container of `request` whose first process has the pidfd `init`: (pid, pidfd, error pipe).

    Raises the StartError of what failed before there was a process.
    """
    message, fds = errand.run(
        lambda: _enter(kernel, layout, request, init=init, own_pidns=own_pidns, process=process, ends=ends)
    )
    if "error" in message:
        raise errand.start_error(message)
    return message["pid"], fds[0], fds[1]


def _enter(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    init: int,
    own_pidns: int,
    process: dict[str, Any],
    ends: streams.Ends,
) -> errand.Outcome:
    spec = builder.read_spec(request["bundle"])
    seccomp, _ = plan.seccomp_program(spec)
    kinds = {entry.get("type") for entry in (spec.get("linux") or {}).get("namespaces") or ()}
    cgroup = layout.manager(request["cgroup"])
    cgroup.adopt()
    pid, pidfd, sync = execin.enter(
        kernel,
        execin.Target(init, own_pidns, seccomp, user="user" in kinds),
        {**process, "terminal": ends.console is not None},
        stdio=ends.child,
        cgroup=cgroup,
        console=ends.console,
        sibling=True,
    )
    return {"pid": pid}, [pidfd, sync]
