"""Add up the bytes of the files below a directory, each inode once, as Docker counts what a container or volume holds.

Apparent sizes, directories themselves not counted. The tree may change meanwhile and may be hostile: no symbolic link is
followed, nothing is opened but directories, and what vanishes or cannot be read counts nothing.
"""

from __future__ import annotations

import os


def tree_size(path: str) -> int:
    """Bytes of file content below `path`; 0 if it is not there. Raises nothing."""
    size = 0
    seen: set[tuple[int, int]] = set()
    pending = [path]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                inode = (status.st_dev, status.st_ino)
                if status.st_nlink > 1 and inode in seen:
                    continue
                if status.st_nlink > 1:
                    seen.add(inode)
                size += status.st_size
    return size
