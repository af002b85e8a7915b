"""What the child and its creator say to each other over a SEQPACKET pair, before the child is the container.

Success of execve is not said but seen: the child's end is close-on-exec, so the creator reads end of file.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from runtime.errors import KINDS, EngineError, SyscallError, SystemFailure

MAX_MESSAGE: Final = 65536

CREATED: Final = b'{"type":"created"}'
HOOKS: Final = b'{"type":"hooks"}'
MAPS: Final = b"maps"
GO: Final = b"go"

ENGINE_FAILED: Final = 125
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127


class StartError(EngineError):
    """The container's process could not be started.

    `stage` is the step that failed, `exit_code` 125 (set-up), 126 (found, not executable) or 127 (not found);
    `kind` is that of the error in the child.
    """

    def __init__(self, stage: str, exit_code: int, message: str, kind: str = "SystemFailure", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.stage = stage
        self.exit_code = exit_code
        self._kind = kind if kind in KINDS else "SystemFailure"

    def to_wire(self) -> dict[str, Any]:
        return {"kind": self._kind, "message": self.message, "fields": self.fields}


class ExecError(SystemFailure):
    """In the child: the program cannot be executed, with the exit code that says why (126 or 127)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def encode_failure(stage: str, error: BaseException) -> bytes:
    """The child's last words about `error`, raised while in `stage`."""
    exit_code = error.exit_code if isinstance(error, ExecError) else ENGINE_FAILED
    if isinstance(error, EngineError):
        kind, message, fields = error.kind, error.message, error.fields
        if isinstance(error, SyscallError):
            message = _in_words(stage, error)
    elif isinstance(error, OSError) and error.errno:
        path = f" {error.filename}" if error.filename is not None else ""
        kind, message, fields = "SystemFailure", f"{stage}{path}: {os.strerror(error.errno).lower()}", {}
    else:
        kind, message, fields = "SystemFailure", f"{stage}: {type(error).__name__}: {error}", {}
    body = {"type": "failed", "stage": stage, "exit_code": exit_code, "kind": kind, "message": message[:4096]}
    return json.dumps(body | {"fields": fields}, default=str).encode()[:MAX_MESSAGE]


def _in_words(stage: str, error: SyscallError) -> str:
    """A step that names its paths needs no name of a system call; `fields` keep it for whoever searches the cause."""
    if " " not in stage:
        return f"{stage}: {error.message}"
    where = f" {error.path}:" if error.path and error.path not in stage else ""
    return f"{stage}:{where} {os.strerror(error.errno).lower()}"


def receive(fd: int) -> str | None:
    """The type of the child's next message, None at end of file; raises the `StartError` that the child reports."""
    try:
        data = os.read(fd, MAX_MESSAGE)
    except ConnectionResetError:
        return None
    if not data:
        return None
    body = json.loads(data)
    if body["type"] == "failed":
        raise StartError(body["stage"], body["exit_code"], body["message"], body["kind"], **body["fields"])
    kind: str = body["type"]
    return kind


def send(fd: int, data: bytes) -> bool:
    """Write one message; False if the other side is gone."""
    try:
        os.write(fd, data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True
