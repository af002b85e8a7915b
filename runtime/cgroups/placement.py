"""Where a container's cgroup lies: below the engine's own, or below a parent that the user names.

A parent may be somebody's, with limits of its own, and an empty one is no proof that nobody wants it: those that we had
to make are marked with an attribute, and only these go with the last container in them.
"""

from __future__ import annotations

import os

OWN = "pycompose"
"""The cgroup of all engines; the engines see to what is in it themselves."""
_MARKS = ("trusted.pycompose", "user.pycompose")
"""The kernel gives the first to root alone, and has the second on cgroup v2 only."""


def name(engine_id: str, container_id: str, parent: str = "") -> str:
    """The cgroup of a container, below the mount points: `pycompose/ENGINE/CONTAINER`, or `PARENT/CONTAINER`.

    `parent` is HostConfig.CgroupParent. As with Docker's cgroupfs driver `x.slice` is a directory like any other, `..`
    cannot leave the root, and a path without a slash in front begins where the engine is, which ours is at the root.
    """
    if not parent:
        return f"{OWN}/{engine_id}/{container_id}"
    above = os.path.normpath(f"/{parent}").strip("/")
    return f"{above}/{container_id}" if above else container_id


def is_own(cgroup: str) -> bool:
    """Whether it lies below the cgroup of all engines."""
    return cgroup.startswith(f"{OWN}/")


def mark(path: str) -> None:
    """Note that we made this directory; where the kernel has no such attributes it will stay."""
    for attribute in _MARKS:
        try:
            os.setxattr(path, attribute, b"1")
        except OSError:
            continue
        return


def prune(mount: str, cgroup: str) -> None:
    """Remove the directories above `cgroup` that we made, as far as they are empty."""
    above = os.path.dirname(cgroup)
    while above and _is_marked(f"{mount}/{above}"):
        try:
            os.rmdir(f"{mount}/{above}")
        except OSError:
            return  # in use, or somebody was quicker
        above = os.path.dirname(above)


def _is_marked(path: str) -> bool:
    for attribute in _MARKS:
        try:
            os.getxattr(path, attribute)
        except OSError:
            continue
        return True
    return False
