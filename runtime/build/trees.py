"""What COPY and ADD read: a directory that is the whole world for its paths, its files chosen, described and digested.

Links in a source path are followed, but never out of the tree (openat2 with RESOLVE_IN_ROOT); links inside what is copied
stay links. What the ignore rules name does not exist. Digests leave out times: a touched file is an unchanged one.
"""

from __future__ import annotations

import difflib
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.build import gopath
from runtime.build.filedigests import FileDigests, join_digest
from runtime.errors import NotFound, SyscallError
from runtime.linux.constants import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.build.ignorefile import Rules


KEPT_XATTRS: Final = ("security.capability", "user.", "system.posix_acl_")
_DROPPED_XATTRS: Final = "user.overlay."
_IN_ROOT: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_NEAREST: Final = 3
_LISTED: Final = 2000


class Node:
    """One entry of a tree; `children` is None unless it is a directory. `wanted` is false for a directory that is only
    there for what is below it."""

    __slots__ = ("children", "digest", "link", "name", "stat", "wanted", "xattrs")

    def __init__(self, name: str, found: os.stat_result) -> None:
        self.name = name
        self.stat = found
        self.link = ""
        self.digest = ""
        self.children: list[Node] | None = None
        self.wanted = True
        self.xattrs: dict[str, bytes] = {}


class Match(NamedTuple):
    """One thing to be copied."""

    base: str
    """Its name, as it was asked for: what it is called in a destination directory."""
    path: str
    """Its real place in the tree, links resolved, with a leading slash."""
    node: Node
    parents: tuple[str, ...] = ()
    """With --parents: the directories above it, below the pivot, that are to be made as well."""
    pivot: str = "/"


class Tree:
    """A directory to copy from."""

    def __init__(
        self,
        path: str,
        *,
        what: str = "",
        rules: Rules | None = None,
        owner: tuple[int, int] | None = None,
        digests: FileDigests | None = None,
    ) -> None:
        """`owner`: whom all entries belong to, whatever the disk says. `what` names the tree in messages."""
        self.path = path
        self.what = what
        self.owner = owner
        self._rules = rules
        self._digests = digests or FileDigests()
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._real = os.readlink(f"/proc/self/fd/{self.root}")

    @property
    def has_rules(self) -> bool:
        """Whether some of what is on disk is not in the tree."""
        return self._rules is not None

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.root)

    def open(self, path: str, flags: int) -> int:
        """Open a path of the tree, links followed inside it; raises SyscallError."""
        return KERNEL.openat2(self.root, path.lstrip("/") or ".", flags, resolve=_IN_ROOT)

    def select(self, source: str, *, exclude: Rules | None = None, wildcards: bool = True) -> list[Match]:
        """What a source of COPY names, in Go's order of a walk; empty for a pattern that matches nothing.

        Raises NotFound with the nearest names for a plain path that is not there.
        """
        head, pattern = gopath.split_wildcards(source) if wildcards else (gopath.clean(source), "")
        if not pattern:
            return [self._named(head, exclude)]
        try:
            real = self.resolve(head)
        except NotFound:
            return []
        found = []
        for relative in self._matching(real, pattern):
            path = gopath.clean(f"{real}/{relative}")
            try:
                found.append(self._named(path, exclude))
            except NotFound:
                continue  # a dangling link
        return found

    def select_with_parents(self, source: str, *, exclude: Rules | None = None) -> list[Match]:
        """As select for --parents: each match keeps its path below the pivot `/./`, or below the root."""
        pivot, found, pattern = source.partition("/./")
        if not found:
            pivot, pattern = "/", source
        top = self.resolve(gopath.clean(pivot))
        pattern = gopath.clean(pattern).lstrip("/")
        names = list(self._matching(top, pattern, deep=True)) if gopath.has_wildcards(pattern) else [pattern]
        matches = []
        for name in names:
            match = self._named(gopath.clean(f"{top}/{name}"), exclude)
            head, _, tail = name.rpartition("/")
            matches.append(
                Match(tail, match.path, match.node, tuple(head.split("/")) if head else (), gopath.clean(top))
            )
        return matches

    def resolve(self, path: str) -> str:
        """The real place of a path, links followed inside the tree; raises NotFound."""
        try:
            fd = self.open(path, os.O_PATH)
        except SyscallError as error:
            raise self._missing(path) from error
        try:
            real = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        below = real.removeprefix(self._real) if self._real != "/" else real
        if below and self._hidden(below.lstrip("/")):
            raise self._missing(path)
        return below or "/"

    def digest(self, matches: Sequence[Match]) -> str:
        """One digest of what the matches hold, names and owners included, times not."""
        parts: list[str] = []
        for match in matches:
            parts += [match.base, *match.parents]
            _describe(match.node, "", self.owner, parts)
        return join_digest(parts)

    def save(self) -> None:
        """Keep the digests of the files for the next build; raises OSError."""
        self._digests.save()

    def _named(self, path: str, exclude: Rules | None) -> Match:
        real = self.resolve(path)
        parent, _, name = real.rpartition("/")
        directory = self.open(parent or "/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            found = os.lstat(name or ".", dir_fd=directory)
            node = Node(name, found)
            self._fill(node, directory, name or ".", real.lstrip("/"), "", exclude)
        finally:
            os.close(directory)
        return Match(os.path.basename(gopath.clean(path)), real, node)

    def _fill(self, node: Node, directory: int, name: str, path: str, below: str, exclude: Rules | None) -> None:
        """Find out what an entry holds. `path`: its place in the tree; `below`: its place in what is copied."""
        mode = node.stat.st_mode
        if stat.S_ISREG(mode):
            node.digest = self._digests.of(path, node.stat, directory, name)
            if self._digests.is_plain(path):
                return
            node.xattrs = _file_xattrs(directory, name)
            if not node.xattrs:
                self._digests.plain(path)
        elif stat.S_ISLNK(mode):
            node.link = os.readlink(name, dir_fd=directory)
            return
        elif stat.S_ISDIR(mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                node.xattrs = xattrs_of(fd)
                node.children = list(self._children(fd, path, below, exclude))
            finally:
                os.close(fd)

    def _children(self, fd: int, path: str, below: str, exclude: Rules | None) -> Iterator[Node]:
        with os.scandir(fd) as entries:
            found = sorted(((entry.name, entry.stat(follow_symlinks=False)) for entry in entries), key=_by_name)
        prefix = f"{path}/" if path else ""
        inner = f"{below}/" if below else ""
        for name, status in found:
            if stat.S_ISSOCK(status.st_mode):
                continue
            directory = stat.S_ISDIR(status.st_mode)
            hidden = self._rules is not None and self._rules.excludes(prefix + name)
            left_out = exclude is not None and exclude.excludes(inner + name)
            if (hidden or left_out) and not directory:
                continue
            if hidden and self._rules is not None and not self._rules.may_include_below(prefix + name):
                continue
            if left_out and exclude is not None and not exclude.may_include_below(inner + name):
                continue
            node = Node(name, status)
            self._fill(node, fd, name, prefix + name, inner + name, exclude)
            if hidden or left_out:
                if not node.children:
                    continue
                node.wanted = not left_out  # a hidden one is in the context for the sake of what is below it
            yield node

    def _matching(self, top: str, pattern: str, *, deep: bool = False) -> Iterator[str]:
        """Paths below `top` that match, in the order of a walk; nothing below a match. `deep`: `**` is any directories."""
        deep = deep and gopath.DEEP in pattern.split("/")
        fits = gopath.match_deep if deep else gopath.match
        pending = [""]
        while pending:
            relative = pending.pop()
            if relative and fits(pattern, relative):
                if not self._hidden(f"{top}/{relative}".lstrip("/")):
                    yield relative
                    continue
            elif relative and not deep and relative.count("/") >= pattern.count("/"):
                continue
            try:
                fd = self.open(f"{top}/{relative}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except SyscallError:
                continue
            try:
                names = sorted(os.listdir(fd), key=os.fsencode, reverse=True)
            finally:
                os.close(fd)
            pending += [f"{relative}/{name}" if relative else name for name in names]

    def _hidden(self, path: str) -> bool:
        """Whether the rules take a path out; a directory is there while something below it is."""
        if self._rules is None or not path or not self._rules.excludes(path):
            return False
        if not self._rules.may_include_below(path):
            return True
        try:
            fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except SyscallError:
            return True
        try:
            return next(self._children(fd, path, "", None), None) is None
        finally:
            os.close(fd)

    def _missing(self, path: str) -> NotFound:
        wanted = gopath.clean(path)
        if self._rules is not None and self._rules.excludes(wanted.lstrip("/")) and os.path.lexists(self.path + wanted):
            return NotFound(f'"{wanted}": not found: excluded by .dockerignore', path=wanted)
        near = difflib.get_close_matches(wanted, self._names_near(wanted), _NEAREST, 0.7)
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        return NotFound(f'"{wanted}": not found{hint}', path=wanted)

    def _names_near(self, path: str) -> list[str]:
        parent = path.rpartition("/")[0]
        names: list[str] = []
        for place in dict.fromkeys((parent, "")):
            try:
                fd = self.open(place or "/", os.O_RDONLY | os.O_DIRECTORY)
            except SyscallError:
                continue
            try:
                below = [f"{place}/{name}" for name in os.listdir(fd)[:_LISTED]]
            finally:
                os.close(fd)
            names += [name for name in below if self._rules is None or not self._rules.excludes(name.lstrip("/"))]
        return names


def xattrs_of(fd: int) -> dict[str, bytes]:
    """The extended attributes of an open file that images keep."""
    return _kept(f"/proc/self/fd/{fd}", follow=True)


def _file_xattrs(directory: int, name: str) -> dict[str, bytes]:
    """Asked for by path: one system call where there are none, as with almost every file."""
    return _kept(f"/proc/self/fd/{directory}/{name}", follow=False)


def _kept(place: str, *, follow: bool) -> dict[str, bytes]:
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError:
        return {}
    if not names:
        return {}
    kept = [name for name in names if name.startswith(KEPT_XATTRS) and not name.startswith(_DROPPED_XATTRS)]
    return {name: os.getxattr(place, name, follow_symlinks=follow) for name in sorted(kept)}


def _describe(node: Node, path: str, owner: tuple[int, int] | None, parts: list[str]) -> None:
    """Append the parts of a digest, of an entry and all below it."""
    found = node.stat
    mode = found.st_mode
    uid, gid = owner if owner is not None else (found.st_uid, found.st_gid)
    device = 0
    if not stat.S_ISREG(mode):
        device = found.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0
        mode = mode if not stat.S_ISLNK(mode) else stat.S_IFLNK
    passed = "" if node.wanted else "passed"
    parts.append(f"{path}\0{mode:o}\0{uid}:{gid}\0{device}\0{node.digest}{node.link}\0{passed}")
    if node.xattrs:
        parts += [f"{name}={value.hex()}" for name, value in node.xattrs.items()]
    for child in node.children or ():
        _describe(child, f"{path}/{child.name}", owner, parts)


def _by_name(item: tuple[str, os.stat_result]) -> bytes:
    return os.fsencode(item[0])
