"""A single-threaded process that makes containers as a shim does: run as a script, reads one request, prints one answer.

pytest itself must not do it: clone3 copies only the calling thread, and another may hold the interpreter's lock.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from errno import ENOSYS
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from runtime.cgroups import layout
from runtime.errors import EngineError, SyscallError
from runtime.linux import pidfd as handles
from runtime.linux.syscalls import KERNEL, Kernel
from runtime.oci import create, execin, messages
from runtime.oci.messages import StartError

_SECONDS = 20


class KernelBefore512(Kernel):
    """Without mount_setattr."""

    __slots__ = ()

    def mount_setattr(self, *arguments: Any, **named: Any) -> None:
        raise SyscallError("mount_setattr", ENOSYS)


class Output:
    """Where a process writes: a file in memory for each stream, or a terminal whose master is sent to us."""

    def __init__(self, *, tty: bool) -> None:
        self.files = [os.memfd_create(name) for name in ("stdout", "stderr")]
        self.ours: socket.socket | None = None
        self.theirs: socket.socket | None = None
        self.master = -1
        if tty:
            self.ours, self.theirs = socket.socketpair()

    @property
    def console(self) -> int | None:
        return None if self.theirs is None else self.theirs.fileno()

    def take_master(self) -> None:
        if self.ours is not None:
            _, received, _, _ = socket.recv_fds(self.ours, 64, 1)
            self.master = received[0]

    def text(self) -> dict[str, str]:
        if self.master >= 0:
            data = b""
            try:
                while chunk := os.read(self.master, 65536):
                    data += chunk
            except OSError:  # nobody has the terminal any more
                pass
            return {"stdout": data.decode(errors="replace"), "stderr": ""}
        out, err = (os.pread(fd, 1 << 24, 0).decode(errors="surrogateescape") for fd in self.files)
        return {"stdout": out, "stderr": err}


def failure(error: EngineError) -> dict[str, Any]:
    found: dict[str, Any] = {"message": error.message, "kind": error.to_wire()["kind"]}
    if isinstance(error, StartError):
        found |= {"stage": error.stage, "exit_code": error.exit_code}
    return found


def wait(pid: int, pidfd: int) -> int:
    """The exit status as a shell gives it, 1000 for a process that had to be killed."""
    hung = not handles.wait_gone(pidfd, _SECONDS)
    if hung:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(pidfd)
    return 1000 if hung else 128 - code if code < 0 else code


def enter(request: dict[str, Any], created: create.Created, process: dict[str, Any], cgroup: Any) -> dict[str, Any]:
    output = Output(tty=bool(process.get("terminal")))
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    target = execin.Target(created.pidfd, own, created.seccomp, user=bool(request.get("userns")))
    before = time.perf_counter()
    pid, pidfd, errors = execin.enter(
        KERNEL, target, process, stdio=(None, *output.files), cgroup=cgroup, console=output.console
    )
    answer: dict[str, Any] = {}
    try:
        messages.receive(errors)
        answer["ms"] = (time.perf_counter() - before) * 1000
        output.take_master()
    except StartError as error:
        answer["error"] = failure(error)
    os.close(errors)
    os.close(own)
    return answer | {"exit_code": wait(pid, pidfd)} | output.text()


def run(request: dict[str, Any]) -> dict[str, Any]:
    output = Output(tty=bool(request["spec"]["process"].get("terminal")))
    cgroup = layout.detect().manager(request["cgroup"]) if request.get("cgroup") else None
    answer: dict[str, Any] = {}
    if cgroup is not None:
        cgroup.create((request["spec"].get("linux") or {}).get("resources") or {})
    try:
        before = time.perf_counter()
        created = create.create(
            KernelBefore512() if request.get("old_kernel") else KERNEL,
            request["spec"],
            bundle=request["bundle"],
            container="box",
            stdio=(None, *output.files),
            cgroup=cgroup,
            console=output.console,
        )
        output.take_master()
        answer["created"] = {"pid": created.pid}
        try:
            create.start(created)
        except EngineError:
            wait(created.pid, created.pidfd)
            raise
        answer["ms"] = (time.perf_counter() - before) * 1000
        answer["execs"] = [enter(request, created, process, cgroup) for process in request.get("execs", [])]
        if request.get("signal"):
            time.sleep(request.get("delay", 0))
            KERNEL.pidfd_send_signal(created.pidfd, request["signal"])
        answer["exit_code"] = wait(created.pid, created.pidfd)
    except EngineError as error:
        answer["error"] = failure(error)
    finally:
        if cgroup is not None:
            cgroup.kill_all()
            cgroup.delete()
    answer |= output.text()
    answer["own_namespaces"] = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        answer["host_mounts"] = file.read()
    return answer


def main() -> None:
    request = json.load(sys.stdin)
    for _ in range(request.get("leaks", 0)):
        os.set_inheritable(os.open("/", os.O_RDONLY), True)
    answers = [run(json.loads(json.dumps(request))) for _ in range(request.get("repeat", 1))]
    print(json.dumps(answers))


main()
