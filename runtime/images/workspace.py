"""Unfinished work of image jobs, so that a job killed at any moment leaves nothing that counts.

A workspace is a directory under `tmp/` with a flock that the kernel drops with its owner: whoever gets the lock of one
that he did not make may delete it. The lease is held shared by jobs and exclusively by whoever deletes content.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.linux.inodeflags import mark_top_of_hierarchies
from runtime.linux.treeremoval import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def workspace(root: str) -> Iterator[str]:
    """A private directory below `root`/tmp, removed at the end; raises OSError."""
    parent = f"{root}/tmp"
    os.makedirs(parent, mode=0o700, exist_ok=True)
    mark_top_of_hierarchies(parent)  # ten thousand new files beside many old ones take ext4 seconds
    while True:
        path = f"{parent}/{os.getpid()}-{os.urandom(6).hex()}"
        os.mkdir(path, 0o700)
        # Another job may sweep it away as nobody's: before it is opened, or while we wait for the lock.
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.path.exists(path):
            break
        os.close(fd)
    try:
        yield path
    finally:
        remove_tree(path)
        os.close(fd)


def sweep(root: str) -> int:
    """Delete the workspaces of jobs that died; returns how many."""
    parent = f"{root}/tmp"
    swept = 0
    for name in _names(parent):
        path = f"{parent}/{name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except NotADirectoryError:
            os.unlink(path)
            continue
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
            swept += 1
        except BlockingIOError:
            pass  # its job is alive
        finally:
            os.close(fd)
    return swept


@contextmanager
def lease(root: str) -> Iterator[None]:
    """Keep content from being collected while a job puts things in that nothing refers to yet."""
    with _flock(f"{root}/lease", fcntl.LOCK_SH):
        yield


@contextmanager
def collector(root: str) -> Iterator[bool]:
    """Whether content may be deleted now (no job is putting any in); while it is True none can begin to."""
    try:
        with _flock(f"{root}/lease", fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield True
    except BlockingIOError:
        yield False


@contextmanager
def index_lock(root: str) -> Iterator[None]:
    """One writer of records at a time; held for milliseconds."""
    with _flock(f"{root}/index.lock", fcntl.LOCK_EX):
        yield


@contextmanager
def _flock(path: str, operation: int) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, operation)
        yield
    finally:
        os.close(fd)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
