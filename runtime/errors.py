"""Errors of the runtime, as kinds that survive a process boundary.

    EngineError
    ├── NotFound            no such object                       404
    ├── Conflict            name, address or port is taken       409
    ├── InvalidParameter    the request itself is wrong          400
    ├── Forbidden           not allowed (in use, predefined)     403
    ├── Unavailable         the engine or a peer cannot be had   503
    ├── NotSupported        a known thing we do not do           501
    └── SystemFailure       the kernel or the disk said no       500
        └── SyscallError    a system call failed, with its errno

Messages start in lower case, carry no final period and name the object first.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar


class EngineError(Exception):
    """Base of all errors that the engine reports to a client."""

    kind: ClassVar[str] = "SystemFailure"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def to_wire(self) -> dict[str, Any]:
        """The error as JSON-ready data: `{kind, message, fields}`."""
        return {"kind": self.kind, "message": self.message, "fields": self.fields}


class NotFound(EngineError):
    kind = "NotFound"


class Conflict(EngineError):
    kind = "Conflict"


class InvalidParameter(EngineError):
    kind = "InvalidParameter"


class Forbidden(EngineError):
    kind = "Forbidden"


class Unavailable(EngineError):
    kind = "Unavailable"


class NotSupported(EngineError):
    kind = "NotSupported"


class SystemFailure(EngineError):
    kind = "SystemFailure"


class SyscallError(SystemFailure):
    """A system call failed; `errno` and the call's name are kept for the message and for callers that branch on them."""

    def __init__(self, call: str, errno: int, path: str = "") -> None:
        where = f" {path}" if path else ""
        super().__init__(f"{call}{where}: {os.strerror(errno).lower()}", call=call, errno=errno, path=path)
        self.call = call
        self.errno = errno
        self.path = path


def error_number(error: BaseException) -> int:
    """The errno behind an error, also one that another process reported; 0 if there is none."""
    if isinstance(error, OSError):
        return error.errno or 0
    return int(error.fields.get("errno", 0)) if isinstance(error, EngineError) else 0


KINDS: dict[str, type[EngineError]] = {
    cls.kind: cls for cls in (NotFound, Conflict, InvalidParameter, Forbidden, Unavailable, NotSupported, SystemFailure)
}


def from_wire(data: dict[str, Any]) -> EngineError:
    """Rebuild the error that the other side reported; unknown kinds become SystemFailure."""
    cls = KINDS.get(str(data.get("kind")), SystemFailure)
    return cls(str(data.get("message", "unknown error")), **dict(data.get("fields") or {}))
