"""Write records so that a reader, also one after a power cut, sees the old text or the new one, never half of either.

rename(2) is atomic but orders nothing: the data is fsynced before it, the directory after it.
"""

from __future__ import annotations

import json
import os
from typing import Any

PREFIX = ".tmp-"
"""File names that begin so are leftovers of a writer that died; readers skip them, anybody may delete them."""


def write_bytes(path: str, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replace `path` by `data`; raises OSError and leaves the old file alone. `sync=False` gives up power-cut safety."""
    directory, name = os.path.split(path)
    # random beside the pid: threads of one process, and pid namespaces that share a directory
    temporary = os.path.join(directory, f"{PREFIX}{name}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
    if sync:
        sync_directory(directory)


def write_text(path: str, text: str, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replace `path` by `text` in UTF-8; see write_bytes."""
    write_bytes(path, text.encode(), mode=mode, sync=sync)


def write_json(path: str, obj: Any, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replace `path` by `obj` as one line of JSON; raises before anything is touched if `obj` is not JSON."""
    write_bytes(path, json.dumps(obj, separators=(",", ":")).encode() + b"\n", mode=mode, sync=sync)


def read_json(path: str) -> Any:
    """The JSON value in `path`; raises OSError, or ValueError for whatever is not JSON (also absurdly deep JSON)."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until everything is written; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: str) -> None:
    """Make names in `path` (created, renamed, removed) durable; raises OSError."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
