"""COPY, ADD and WORKDIR as steps: what they depend on, and how they change a root file system.

The copying itself is done through an overlay that this process mounts for the length of the step, so the kernel sees to
whiteouts and to directories that come from below.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.build import chmod, gopath, remotes
from runtime.build.copying import Writer
from runtime.build.dockerfile import contextref
from runtime.build.dockerfile.model import Add, Copy
from runtime.build.entrycopy import Earlier, How, files_of
from runtime.build.ignorefile import exclude_of
from runtime.build.session import Made, key_of
from runtime.build.trees import Tree
from runtime.errors import InvalidParameter
from runtime.images.unpack import unpack_layer
from runtime.linux import saferesolve
from runtime.linux.syscalls import KERNEL
from runtime.oci import users

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.build.dockerfile.model import Heredoc
    from runtime.build.imageconfig import ImageConfig
    from runtime.build.session import Session
    from runtime.build.snapshots import Snapshot
    from runtime.build.trees import Match


MANY_FILES = 200
"""With fewer it is not worth the while to note what they are."""


class Source:
    """A tree to copy from; `key` is that of the state it shows, empty for a context, whose files speak for themselves.

    The digests of what a state shows are remembered: where nothing is new, no state is mounted and no file of it read.
    """

    def __init__(self, session: Session, opened: Callable[[], Tree], key: str) -> None:
        self._session = session
        self._opened = opened
        self.key = key

    @property
    def tree(self) -> Tree:
        """The files."""
        return self._opened()

    def digest(self, select: Callable[[], list[Match]], *what: str) -> tuple[str, Callable[[], list[Match]]]:
        """The digest of what `select` chooses, described by `what`, and how to get at the matches."""
        if not self.key:
            matches = select()
            return self.tree.digest(matches), lambda: matches
        note = key_of("files", self.key, *what)
        known = self._session.cache.get_note(note)
        if known:
            return known, select
        matches = select()
        found = self.tree.digest(matches)
        self._session.cache.put_note(note, found)
        return found, lambda: matches


class _Item(NamedTuple):
    """Things to copy from one tree."""

    tree: Callable[[], Tree]
    matches: Callable[[], list[Match]]
    unpack: bool
    key: str = ""
    """Of the state it is copied from, empty for a context."""


class Planned:
    """One COPY or ADD: first what it depends on (`prepare`, `key_parts`), then, if that is new, the copying."""

    def __init__(self, session: Session, item: Copy | Add, image: ImageConfig, source: Callable[[str], Source]) -> None:
        self._session = session
        self._item = item
        self._source = source
        working = str(image.config.get("WorkingDir") or "/")
        self._destination = destination(item.destination, working)
        self._mode = chmod.reader(item.chmod)
        self._exclude = exclude_of(item.exclude)
        self._items: list[_Item] = []
        self._digests: list[str] = []

    def prepare(self) -> None:
        """Find what is to be copied and digest it; downloads what has to be. Raises NotFound, InvalidParameter."""
        item = self._item
        for source in item.sources:
            if isinstance(item, Add) and (git := contextref.parse_git(source)) is not None:
                self._add_git(item, git)
            elif isinstance(item, Add) and source.lower().startswith(("http://", "https://")):
                self._add_url(item, source)
            else:
                self._add_local(item, source)
        for document in item.heredocs:
            self._add_document(document)

    def key_parts(self) -> list[str]:
        """What the result depends on beside the state before."""
        item = self._item
        flags = [item.chown, item.chmod, str(isinstance(item, Add)), *item.exclude]
        if isinstance(item, Copy):
            flags.append(str(item.parents))
        else:
            flags.append(str(item.unpack))
        return [self._destination, *flags, "sources", *self._digests]

    def history(self) -> str:
        """The text of the history entry."""
        item = self._item
        word = "ADD" if isinstance(item, Add) else "COPY"
        documents = [f"<<{document.name}" for document in item.heredocs]
        return " ".join([word, *self._flags(), *item.sources, *documents, item.destination])

    def _flags(self) -> list[str]:
        item = self._item
        found = [f"--chown={item.chown}"] if item.chown else []
        found += [f"--chmod={item.chmod}"] if item.chmod else []
        return found

    def execute(self, snapshot: Snapshot, place: str, warn: Callable[[str], None]) -> Made:
        """Copy onto `snapshot`, what changes going to `place`."""
        session = self._session
        root = session.snapshots.mount(snapshot, place)
        try:
            how = How(owner=owner(root, self._item.chown, warn), mode=self._mode)
            chosen = [(part, part.tree(), match) for part in self._items for match in part.matches()]
            alone = len(chosen) == 1 and chosen[0][2].node.children is not None
            writer = Writer(root, postpone=alone)
            try:
                for part, tree, match in chosen:
                    session.check()
                    if not (part.unpack and self._unpack(writer, tree, match, how)):
                        writer.copy(tree, [match], self._destination, how)
            finally:
                writer.close()
        finally:
            session.snapshots.unmount(place)
        later = writer.write_later(f"{place}/diff", self._earlier)
        if later is None or self._items[0].key or self._session.request.epoch is not None:
            return Made(remember=not writer.changed)
        family = self._family()
        files = files_of(later.nodes, later.tree.owner, later.how)

        def settled(chain: str) -> None:
            session.cache.put_files(family, chain, later.place, files)

        return Made(remember=not writer.changed, settled=settled if len(files) >= MANY_FILES else None)

    def _family(self) -> str:
        """The same instruction on the same context, whatever its files hold."""
        return key_of(
            "family", self._items[0].tree().path, *self.key_parts()[: -len(self._digests)], *self._item.sources
        )

    def _earlier(self, place: str) -> Earlier | None:
        """What the layer that this instruction made last time has in a directory."""
        request = self._session.request
        if self._items[0].key or request.no_cache or request.epoch is not None:
            return None  # with an epoch times in the new layer may be set back: its files are to be its own
        found = self._session.cache.get_files(self._family(), place)
        if found is None:
            return None
        directory, files = found
        try:
            return Earlier(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), files)
        except OSError:
            return None

    def _unpack(self, writer: Writer, tree: Tree, match: Match, how: How) -> bool:
        """Unpack a local archive into the destination; False if it is none."""
        if match.node.children is not None or match.node.link or not match.node.digest:
            return False
        fd = tree.open(match.path, os.O_RDONLY)
        with open(fd, "rb") as file:
            stream = remotes.archive_stream(file)
            if stream is None:
                return False
            target = writer.make_directory(self._destination, 0o755, how)
            try:
                place = os.readlink(f"/proc/self/fd/{target}")
            finally:
                os.close(target)
            unpack_layer(stream, place, flat=True)
        return True

    def _add_local(self, item: Copy | Add, source: str) -> None:
        origin = self._source(item.from_ if isinstance(item, Copy) else "")
        parents = isinstance(item, Copy) and item.parents

        def select() -> list[Match]:
            tree = origin.tree
            choose = tree.select_with_parents if parents else tree.select
            return [match for match in choose(source, exclude=self._exclude) if not self._left_out(match)]

        digest, matches = origin.digest(select, source, str(parents), *item.exclude)
        unpack = isinstance(item, Add) and item.unpack is not False
        self._items.append(_Item(lambda: origin.tree, matches, unpack, origin.key))
        self._digests.append(digest)

    def _left_out(self, match: Match) -> bool:
        """Whether a file that a source names is taken out again: --exclude counts from the source's own directory."""
        if self._exclude is None or match.node.children is not None:
            return False
        return self._exclude.excludes(match.base)

    def _add_url(self, item: Add, url: str) -> None:
        directory = f"{self._session.work}/downloads"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fetched = remotes.fetch(url, directory, None, item.checksum)
        tree = Tree(os.path.dirname(fetched.path), what=url, owner=(0, 0))
        matches = tree.select(fetched.name, wildcards=False)
        self._items.append(_Item(lambda: tree, lambda: matches, item.unpack is True))
        self._digests += ["url", fetched.name, fetched.digest, str(fetched.mtime)]

    def _add_git(self, item: Add, git: contextref.Git) -> None:
        directory = f"{self._session.work}/git-{os.urandom(6).hex()}"
        os.mkdir(directory, 0o755)
        keep = bool(item.keep_git_dir or git.keep_git_dir)
        request = self._session.request
        known = self._session.contexts.known_hosts
        place = remotes.clone(git, directory, None, request.ssh, known_hosts=known, keep=keep, secrets=request.secrets)
        tree = Tree(place, what=git.remote, owner=(0, 0))
        matches = tree.select("/", exclude=self._exclude)
        self._items.append(_Item(lambda: tree, lambda: matches, unpack=False))
        # git's own directory holds times and inode numbers, so the commit stands for it
        kept = [remotes.commit_of(directory), git.subdir, *item.exclude] if keep else []
        self._digests += ["git", *kept] if kept else ["git", tree.digest(matches)]

    def _add_document(self, document: Heredoc) -> None:
        directory = f"{self._session.work}/documents-{os.urandom(6).hex()}"
        os.mkdir(directory, 0o755)
        path = f"{directory}/{os.path.basename(document.name)}"
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(document.content)
            os.fchmod(file.fileno(), 0o644)
        tree = Tree(directory, owner=(0, 0))
        matches = tree.select(document.name, wildcards=False)
        self._items.append(_Item(lambda: tree, lambda: matches, unpack=False))
        self._digests += ["document", tree.digest(matches)]


def plan(session: Session, item: Copy | Add, image: ImageConfig, source: Callable[[str], Source]) -> Planned:
    """A COPY or ADD with all that it depends on found out. Raises NotFound, InvalidParameter."""
    planned = Planned(session, item, image, source)
    planned.prepare()
    return planned


def destination(path: str, working: str) -> str:
    """The destination of a COPY, absolute, an ending slash or `/.` kept; `.` and its like mean a directory."""
    absolute = path if path.startswith("/") else f"{working.rstrip('/')}/{path}"
    if path in ("", ".", "./") or path.endswith(("/.", "/..")) or path == "..":
        absolute += "/"
    return gopath.clean_keeping_slash(absolute)


def make_directory(session: Session, snapshot: Snapshot, place: str, path: str, user: str) -> None:
    """WORKDIR: make a directory, its parents too, owned by the image's user."""
    root = session.snapshots.mount(snapshot, place)
    try:
        writer = Writer(root)
        try:
            os.close(writer.make_directory(path, 0o755, How(owner=owner(root, user))))
        finally:
            writer.close()
    finally:
        session.snapshots.unmount(place)


def owner(root: str, text: str, warn: Callable[[str], None] = lambda _text: None) -> tuple[int, int] | None:
    """Who `user[:group]` is in a root file system; None for an empty text. Raises InvalidParameter for a number too big.

    A number is the group too, a name has its primary group; an empty part is root. Who is not there is root, as with
    BuildKit, and a group that is not there changes nothing; `warn` is told.
    """
    if not text:
        return None
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        passwd = saferesolve.read_text(KERNEL, fd, "/etc/passwd")
        group = saferesolve.read_text(KERNEL, fd, "/etc/group")
    finally:
        os.close(fd)
    user_name, colon, group_name = text.partition(":")
    found = _known(user_name, passwd, "", warn)
    uid, gid = (found.uid, found.gid) if found is not None else (0, 0)
    if user_name.isdigit():
        gid = uid
    if not colon:
        return uid, gid
    if not group_name:
        return uid, 0
    named = _known(f"0:{group_name}", passwd, group, warn, instead=f"group {gid}")
    return uid, named.gid if named is not None else gid


def _known(
    text: str, passwd: str, group: str, warn: Callable[[str], None], *, instead: str = "root"
) -> users.User | None:
    try:
        return users.lookup(text, [], passwd, group)
    except InvalidParameter as error:
        if "range" in error.message:
            raise
        warn(f"{error.message}, {instead} is used instead")
        return None


def tree_of(session: Session, snapshot: Snapshot, what: str) -> Tree:
    """The files of a state, to copy from."""
    return session.tree(session.snapshots.view(snapshot), what)


def fill(tree: Tree, source: str, target: str) -> None:
    """Copy a directory of `tree` into the existing directory `target`."""
    writer = Writer(target)
    try:
        writer.copy(tree, tree.select(source, wildcards=False), "/", How())
    finally:
        writer.close()


def scratch_bind(session: Session, source: Source, real: str, place: str, target: str) -> dict[str, Any]:
    """A bind whose writes are thrown away: of a copy of what is in the tree, made in `place`."""
    os.mkdir(place, 0o755)
    matches = source.tree.select(real, wildcards=False)
    writer = Writer(place)
    directory = matches[0].node.children is not None
    try:
        writer.copy(source.tree, matches, "/", How())
    finally:
        writer.close()
    path = place if directory else f"{place}/{matches[0].base}"
    return {
        "destination": target,
        "type": "bind",
        "source": path,
        "options": ["rbind", "rprivate"],
        "x-create": "dir" if directory else "file",
    }
