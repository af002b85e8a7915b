"""Run the lifecycle hooks of a spec: state on standard input, first failure ends the operation.

posix_spawn does not copy the caller's memory, and a pidfd bounds the wait.
"""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, SystemFailure
from runtime.linux import pidfd as handles

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

OCI_VERSION: Final = "1.2.0"
STAGES: Final = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_OUTPUT: Final = 4096


def parse(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The hooks of a spec by stage, empty stages left out; raises InvalidParameter."""
    found = {}
    for stage in STAGES:
        entries = (spec.get("hooks") or {}).get(stage) or []
        for entry in entries:
            if not str(entry.get("path") or "").startswith("/"):
                raise InvalidParameter(f"hook {stage}: path {entry.get('path')!r} is not absolute")
            timeout = entry.get("timeout")
            if timeout is not None and int(timeout) <= 0:
                raise InvalidParameter(f"hook {stage}: timeout {timeout} is not positive")
        if entries:
            found[stage] = entries
    return found


def run(kernel: Kernel, stage: str, hooks: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """Run the hooks one after the other with `state` as JSON on stdin; raises SystemFailure."""
    for hook in hooks:
        _run_one(kernel, stage, hook, json.dumps(state).encode())


def run_all(kernel: Kernel, stage: str, hooks: list[dict[str, Any]], state: dict[str, Any]) -> list[str]:
    """Run every hook, whatever became of the others; returns the failures."""
    failures = []
    for hook in hooks:
        try:
            run(kernel, stage, [hook], state)
        except SystemFailure as error:
            failures.append(error.message)
    return failures


def _run_one(kernel: Kernel, stage: str, hook: dict[str, Any], state: bytes) -> None:
    path = hook["path"]
    stdin, output = kernel.memfd_create("state"), kernel.memfd_create("output")
    try:
        os.pwrite(stdin, state, 0)
        pid = os.posix_spawn(
            path,
            list(hook.get("args") or [path]),
            dict(entry.partition("=")[::2] for entry in hook.get("env") or ()),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
        status = _wait(kernel, pid, hook.get("timeout"))
        if status == 0:
            return
        text = os.pread(output, _OUTPUT, 0).decode(errors="replace").strip()
    except OSError as error:
        raise SystemFailure(f"hook {stage} {path}: {os.strerror(error.errno or 0).lower()}") from error
    finally:
        os.close(stdin)
        os.close(output)
    what = f"did not end within {hook['timeout']} s" if status is None else f"ended with status {status}"
    raise SystemFailure(f"hook {stage} {path}: {what}{': ' if text else ''}{text}")


def _wait(kernel: Kernel, pid: int, timeout: int | None) -> int | None:
    """The exit status, negative for a signal; None when it had to be killed for its time-out (seconds)."""
    if timeout is not None:
        handle = kernel.pidfd_open(pid)
        try:
            if not handles.wait_gone(handle, timeout):
                kernel.pidfd_send_signal(handle, signal.SIGKILL)
                os.waitpid(pid, 0)
                return None
        finally:
            os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(spec: dict[str, Any], *, container: str, status: str, pid: int, bundle: str) -> dict[str, Any]:
    """The OCI state of a container; `pid` 0 is left out."""
    made: dict[str, Any] = {"ociVersion": spec.get("ociVersion") or OCI_VERSION, "id": container, "status": status}
    if pid:
        made["pid"] = pid
    made["bundle"] = bundle
    if spec.get("annotations"):
        made["annotations"] = spec["annotations"]
    return made
