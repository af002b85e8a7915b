"""Write what COPY and ADD chose into a root file system, with BuildKit's rules for destinations, owners and times.

Every destination is resolved inside the root (openat2 with RESOLVE_IN_ROOT), so a link in an image leads nowhere else;
below that, entries are made by descriptor of their directory and a name that is not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.build import gopath
from runtime.build.entrycopy import DIRECTORY, EntryCopier, How
from runtime.build.trees import Node, xattrs_of
from runtime.errors import InvalidParameter, SyscallError
from runtime.linux.constants import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.build.entrycopy import Earlier
    from runtime.build.trees import Match, Tree

_IN_ROOT: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY


class Later(NamedTuple):
    """Entries that are new to the directory `place` (relative to the root) and may be written past an overlay."""

    tree: Tree
    match: Match
    place: str
    nodes: list[Node]
    how: How


class Writer:
    """A root file system that things are copied into. `changed`: a file was no longer what had been digested.

    With `postpone` the root is an overlay, and what of one copied directory is new there is left for `write_later`.
    """

    def __init__(self, root: str, *, postpone: bool = False) -> None:
        self._root = os.open(root, _DIRECTORY | os.O_CLOEXEC)
        self._postpone = postpone
        self._later: Later | None = None
        self.changed = False

    def write_later(self, upper: str, earlier: Callable[[str], Earlier | None]) -> Later | None:
        """Write what was left to the overlay's upper directory; it must be unmounted. Twice as fast as through it.

        `earlier` gives what an earlier layer has in a directory.
        """
        later = self._later
        if later is None:
            return None
        fd = os.open(f"{upper}/{later.place}", DIRECTORY)
        before = earlier(later.place)
        try:
            self._fill(later.tree, later.match, later.nodes, fd, later.how, before)
        finally:
            os.close(fd)
            if before is not None:
                os.close(before.directory)
        return later

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._root)

    def make_directory(self, path: str, mode: int, how: How) -> int:
        """An open descriptor of the directory `path`; it and its parents are made, as `how` says, where missing.

        Raises InvalidParameter if something else is there, SyscallError.
        """
        parts = [part for part in path.split("/") if part]
        fd = KERNEL.try_openat2(self._root, "/".join(parts) or ".", _DIRECTORY, resolve=_IN_ROOT)
        if fd >= 0:
            return fd
        if -fd not in (errno.ENOENT, errno.ENOTDIR):
            raise SyscallError("openat2", -fd, path)
        for depth in range(1, len(parts) + 1):
            self._make_one("/".join(parts[: depth - 1]), parts[depth - 1], mode, how)
        return KERNEL.openat2(self._root, "/".join(parts), _DIRECTORY, resolve=_IN_ROOT)

    def _make_one(self, parent_path: str, name: str, mode: int, how: How) -> None:
        here = f"{parent_path}/{name}".lstrip("/")
        fd = KERNEL.try_openat2(self._root, here, os.O_PATH | os.O_DIRECTORY, resolve=_IN_ROOT)
        if fd >= 0:
            os.close(fd)
            return
        parent = KERNEL.openat2(self._root, parent_path or ".", _DIRECTORY, resolve=_IN_ROOT)
        try:
            try:
                os.mkdir(name, mode, dir_fd=parent)
            except FileExistsError:
                target = _dangling(parent, name)
                if target is None:
                    raise InvalidParameter(f"cannot copy to non-directory: /{here}") from None
                # a link to a directory that does not exist yet: that is made
                os.close(
                    self.make_directory(
                        gopath.clean(f"/{parent_path}/{target}" if target[:1] != "/" else target), mode, how
                    )
                )
                return
            fd = os.open(name, DIRECTORY, dir_fd=parent)
            try:
                if how.owner is not None:
                    os.fchown(fd, *how.owner)
                    os.fchmod(fd, mode)
            finally:
                os.close(fd)
        finally:
            os.close(parent)

    def copy(self, tree: Tree, matches: Sequence[Match], destination: str, how: How) -> None:
        """Copy the matches to `destination` (absolute, its ending slash kept).

        A directory's content goes into the destination; a file becomes it, or goes into it if it is a directory.
        Raises InvalidParameter for a file where a directory is and the reverse, OSError, SyscallError.
        """
        for match in matches:
            self._copy_one(tree, match, destination, how)

    def _copy_one(self, tree: Tree, match: Match, destination: str, how: How) -> None:
        if match.parents:
            destination = self._with_parents(tree, match, destination, how)
        head, _, tail = destination.rpartition("/")
        if tail in ("", "."):
            os.close(self.make_directory(head, 0o755, how))
        target = gopath.clean(destination)
        if stat.S_ISDIR(match.node.stat.st_mode):
            name = f"/{match.base}" if match.parents else ""
            self._copy_directory(tree, match, target + name, how)
            return
        fd = KERNEL.try_openat2(self._root, target.lstrip("/") or ".", _DIRECTORY, resolve=_IN_ROOT)
        if fd < 0:
            head, _, name = target.rpartition("/")
            fd = self.make_directory(head, 0o755, how)
        else:
            name = match.base
        try:
            source = tree.open(match.path.rpartition("/")[0] or "/", _DIRECTORY)
            try:
                copier = EntryCopier(tree.owner, how)
                try:
                    copier.entry(source, match.node, fd, name)
                finally:
                    copier.close()
                    self.changed |= copier.changed
            finally:
                os.close(source)
        finally:
            os.close(fd)

    def _copy_directory(self, tree: Tree, match: Match, target: str, how: How) -> None:
        # the destination itself is a plain new directory: of the source's only what is in it is copied
        fd = self.make_directory(target, 0o755, how)
        try:
            nodes = match.node.children or []
            if self._postpone:
                there = set(os.listdir(fd))
                self._later = Later(tree, match, _place(self._root, fd), [n for n in nodes if n.name not in there], how)
                nodes = [node for node in nodes if node.name in there]
                os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode))  # an overlay copies the directory up for that
            self._fill(tree, match, nodes, fd, how, None)
        finally:
            os.close(fd)

    def _fill(
        self, tree: Tree, match: Match, nodes: Sequence[Node], target: int, how: How, earlier: Earlier | None
    ) -> None:
        source = tree.open(match.path, _DIRECTORY)
        copier = EntryCopier(tree.owner, how, earlier)
        try:
            copier.children(source, nodes, target)
        finally:
            self.changed |= copier.changed
            copier.close()
            os.close(source)

    def _with_parents(self, tree: Tree, match: Match, destination: str, how: How) -> str:
        """Make the directories above a match with the metadata they have in the source; where the match goes then."""
        place, source = destination.rstrip("/"), match.pivot
        copier = EntryCopier(tree.owner, how)
        for name in match.parents:
            place, source = f"{place}/{name}", gopath.clean(f"{source}/{name}")
            there = KERNEL.try_openat2(self._root, place.lstrip("/"), os.O_PATH | os.O_DIRECTORY, resolve=_IN_ROOT)
            if there >= 0:
                os.close(there)
                continue
            fd = self.make_directory(place, 0o755, how)
            original = tree.open(source, _DIRECTORY)
            try:
                node = Node(name, os.fstat(original))
                node.xattrs = xattrs_of(original)
                copier.metadata(node, fd)
            finally:
                os.close(original)
                os.close(fd)
        return f"{place}/"


def _dangling(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def _place(root: int, fd: int) -> str:
    """Where an open directory is below another one."""
    top, path = os.readlink(f"/proc/self/fd/{root}"), os.readlink(f"/proc/self/fd/{fd}")
    return path.removeprefix(top).lstrip("/")
