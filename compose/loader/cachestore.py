"""Keep small JSON documents in a directory that nobody else can read or write; trouble with it is no error.

What is kept may hold values of variables, so directory and files are the user's alone (0700, 0600): a directory that
belongs to somebody else, or that others may enter, is not used. Entries are written under another name and renamed.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any

MAX_ENTRIES = 64
MAX_BYTES = 32 << 20
"""Of all entries; the ones unused for longest go first."""
MAX_ENTRY = 4 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def default_directory(environ: Any, uid: int) -> str:
    """Where a user's cache is, by XDG's rules; "" if the place is not his (as under sudo) or PYCOMPOSE_CACHE is 0."""
    if environ.get("PYCOMPOSE_CACHE") == "0":
        return ""
    base = environ.get("XDG_CACHE_HOME", "")
    owned = environ.get("HOME", "")
    if os.path.isabs(base):
        owned = base
        while not os.path.exists(owned):
            owned = os.path.dirname(owned)
    elif os.path.isabs(owned):
        base = f"{owned}/.cache"
    else:
        return ""
    try:
        return f"{base}/pycompose/projects" if os.stat(owned).st_uid == uid else ""
    except OSError:
        return ""


class Store:
    """Documents by name (of hexadecimal digits)."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def get(self, name: str) -> Any:
        """The document, None if there is none."""
        try:
            directory = self._open()
        except OSError:
            return None
        try:
            fd = os.open(name, _READ, dir_fd=directory)
            with open(fd, "rb") as file:
                about = os.fstat(fd)
                if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_size > MAX_ENTRY:
                    return None
                content = json.loads(file.read())
                os.utime(fd)
                return content
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(directory)

    def put(self, name: str, document: Any) -> None:
        """Keep a document if that is possible."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        if len(text) > MAX_ENTRY:
            return
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            directory = self._open()
        except OSError:
            return
        try:
            temporary = f".{name}.{os.getpid()}"
            fd = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
            )
            try:
                with open(fd, "wb") as file:
                    file.write(text)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(temporary, dir_fd=directory)
                raise
            _make_room(directory)
        except OSError:
            return
        finally:
            os.close(directory)

    def _open(self) -> int:
        """The directory. Raises OSError if it is not there, or is not the user's alone."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        about = os.fstat(directory)
        if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
            os.close(directory)
            raise PermissionError(f"{self._directory} is not the user's alone")
        return directory


def _make_room(directory: int) -> None:
    found: list[tuple[float, int, str]] = []
    for name in os.listdir(directory):
        try:
            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            continue
        found.append((about.st_mtime, about.st_size, name))
    kept = total = 0
    for _, size, name in sorted(found, reverse=True):
        kept, total = kept + 1, total + size
        if kept > MAX_ENTRIES or total > MAX_BYTES:
            try:
                os.unlink(name, dir_fd=directory)
            except FileNotFoundError:
                continue
