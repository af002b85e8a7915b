"""Do what a client asks of a container's files, in a child that is in the container's mount namespace.

Three operations: `put` (delete, then unpack a tar stream), `get` (write one) and `stat`.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter
from runtime.linux import saferesolve
from runtime.oci import users
from runtime.shim import extract, pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel

_READ_SIZE = 64 * 1024


def serve(kernel: Kernel, root: int, request: dict[str, Any], source: int, sink: int) -> dict[str, Any]:
    """Carry out `request` below the directory `root`; what was done. `source` brings a tar stream, `sink` takes one.

    Raises EngineError, OSError.
    """
    operation = _OPERATIONS.get(str(request.get("operation") or "put"))
    if operation is None:
        raise InvalidParameter(f"archive: operation {request.get('operation')} is unknown")
    return operation(kernel, root, request, source, sink)


def _put(kernel: Kernel, root: int, request: dict[str, Any], source: int, sink: int) -> dict[str, Any]:
    """`path`, `delete` (a list of paths), `strict` (see Extraction), `user` (whose files they shall be)."""
    user = str(request.get("user") or "")
    owner = _owner(kernel, root, user) if user else None
    extraction = extract.Extraction(kernel, root, strict=bool(request.get("strict")), owner=owner)
    extraction.delete(request.get("delete") or ())
    with io.FileIO(source, closefd=False) as raw, io.BufferedReader(raw, _READ_SIZE) as stream:
        extraction.unpack(str(request.get("path") or "/"), stream)
    return extraction.outcome()


def _get(kernel: Kernel, root: int, request: dict[str, Any], source: int, sink: int) -> dict[str, Any]:
    pack.write(kernel, root, str(request.get("path") or "/"), sink)
    return {}


def _stat(kernel: Kernel, root: int, request: dict[str, Any], source: int, sink: int) -> dict[str, Any]:
    return {"Stat": pack.look(kernel, root, str(request.get("path") or "/"), follow=bool(request.get("follow")))}


def _owner(kernel: Kernel, root: int, user: str) -> tuple[int, int]:
    passwd, group = (saferesolve.read_text(kernel, root, f"etc/{name}") for name in ("passwd", "group"))
    found = users.lookup(user, (), passwd, group)
    return found.uid, found.gid


_OPERATIONS: dict[str, Callable[[Kernel, int, dict[str, Any], int, int], dict[str, Any]]] = {
    "put": _put,
    "get": _get,
    "stat": _stat,
}


def close_others(kernel: Kernel, keep: set[int]) -> None:
    """The input of somebody else's process would not end while a copy of its write side is open here."""
    first = 0
    for fd in sorted(keep | {0, 1, 2}):
        if fd > first:
            kernel.close_range(first, fd - 1)
        first = fd + 1
    kernel.close_range(first)


def write_all(fd: int, data: bytes) -> None:
    """Write all of it; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
