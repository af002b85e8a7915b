"""Files and directories of a cgroup hierarchy: read, write, walk, remove.

rmdir is the only way to remove a cgroup, its files do not count, and it fails with EBUSY for a moment after the last exit.
"""

from __future__ import annotations

import os
import signal
import time

from runtime.errors import SyscallError


def write(path: str, value: str) -> None:
    """Write `value` in one call. Raises SyscallError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise SyscallError("write", error.errno or 0, path) from error


def read(path: str) -> str:
    """The file's text; empty when it does not exist."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks).decode()
    except OSError:
        return ""
    finally:
        os.close(fd)


def read_int(path: str) -> int | None:
    """The file's number; None when absent or `max`."""
    text = read(path).strip()
    try:
        return int(text)
    except ValueError:
        return None


def read_table(path: str) -> dict[str, int]:
    """A `key value` per line file as a dictionary."""
    table: dict[str, int] = {}
    for line in read(path).splitlines():
        key, _, value = line.partition(" ")
        try:
            table[key] = int(value)
        except ValueError:
            continue
    return table


def make(path: str) -> bool:
    """mkdir; False if it was there already. Raises SyscallError."""
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    except OSError as error:
        raise SyscallError("mkdir", error.errno or 0, path) from error
    return True


def tree(path: str) -> list[str]:
    """The cgroup and all below it, children before parents; empty when it is gone."""
    found: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found += tree(entry.path)
    except FileNotFoundError:
        return []
    found.append(path)
    return found


def pids(path: str) -> list[int]:
    """Process ids in the cgroup and below."""
    return [int(word) for directory in tree(path) for word in read(f"{directory}/cgroup.procs").split()]


def signal_all(path: str, number: int = signal.SIGKILL) -> int:
    """Signal what is in the cgroup and below; returns how many were there."""
    found = pids(path)
    for pid in found:
        # Zero stands for a process outside the reader's pid namespace; signalling it would hit our own group.
        if pid <= 0:
            continue
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    return len(found)


PATIENCE = 1.0
"""Seconds that a removal waits for the last process to be gone."""


def remove(path: str, *, patience: float = PATIENCE) -> None:
    """rmdir the cgroup and all below; EBUSY is retried for `patience` seconds. Raises SyscallError."""
    deadline = 0.0
    while True:
        error = _remove_once(path)
        if error is None:
            return
        now = time.monotonic()
        deadline = deadline or now + patience
        if now >= deadline:
            raise SyscallError("rmdir", error.errno or 0, path) from error
        time.sleep(0.002)


def _remove_once(path: str) -> OSError | None:
    # A container's cgroup seldom has children: try the one call first.
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return None
    except OSError:
        pass
    else:
        return None
    failure: OSError | None = None
    for directory in tree(path):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            failure = error
    return failure
