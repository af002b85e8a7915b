"""See what becomes of the watched files: batches of changes whose content is really another one.

The kernel's events only say where to look. What a path is (its digest) is compared with what it was when last looked
at, so a touched file, an event too many or one too few change nothing: each change comes out once.
"""

from __future__ import annotations

import hashlib
import os
import queue
import stat
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Self

# the public generator does not say when it has begun to watch
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from compose.watch.rules import Change, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compose.watch.rules import Rule

QUIET_MS = 10
"""Milliseconds without an event after which a batch is complete, and how often watchfiles looks."""
DEBOUNCE_MS = 50
"""Milliseconds after which watchfiles hands over what it has, quiet or not."""
MANY = 20
"""Paths of a batch that looks like a branch switch: more are on their way."""
MANY_QUIET = 0.15
"""Seconds without an event after which such a batch is complete."""
LONGEST = 15.0
"""Seconds after which a batch is complete in any case."""
SETTLE = 0.04
"""Seconds after which a missing or emptied file is believed: editors remove and truncate before they write."""
SECOND_LOOK = 0.3
"""Seconds until new directories are looked through again: files made before the kernel watched them told nothing."""
RESCAN = 500
"""Paths of a batch above which everything is looked at: event queues overflow."""
HASHED = 256 << 20
"""Bytes up to which a file's content decides; of a larger one size and time do."""
_BLOCK = 1 << 20
_COARSE = 50_000_000
"""Nanoseconds in which a file may change twice under one time stamp."""


class Known(NamedTuple):
    """What a path was when last looked at."""

    kind: Kind
    stamp: tuple[int, ...]
    """Status that changes with the content; equal stamps save reading. Empty: changed too lately to rely on it."""
    digest: bytes
    size: int


class Watcher:
    """Watches what the rules are about. `next` gives one batch after the other; use as a context manager."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._paths = frozenset(rule.path for rule in rules)
        self._known: dict[str, Known] = {}
        # SimpleQueue.get waits for ever before Python 3.13 if a signal arrives as its time runs out
        self._events: queue.Queue[frozenset[str]] = queue.Queue()
        self._listeners: list[_Listener] = []
        self._watched: object = None
        self._again: dict[str, float] = {}
        """Paths to be looked at again, and when (monotonic seconds)."""
        self._fresh: set[str] = set()
        """Those of them that are to be looked through."""
        self._doubted: set[str] = set()
        """Paths that looked half done, once."""

    def __enter__(self) -> Self:
        """Begin to watch, then look at everything once; what changes from now on is told."""
        self._listen()
        self._compare(self._everything())
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.stop()

    def files(self, rule: Rule) -> list[tuple[str, Kind]]:
        """Everything there is that a rule accepts: path and kind."""
        return [(path, known.kind) for path, known in self._known.items() if rule.accepts(path)]

    def next(self, timeout: float) -> list[Change]:
        """The next batch; empty after `timeout` seconds without one, or when it turned out to be none."""
        due = min(self._again.values(), default=None)
        if due is not None:
            timeout = max(0.0, min(timeout, due - time.monotonic()))
        paths = self._gather(timeout)
        if self._listen():
            self._again |= dict.fromkeys(self._paths, 0.0)
            self._fresh |= self._paths
        now = time.monotonic()
        due_now = {path for path, when in self._again.items() if when <= now}
        for path in due_now:
            del self._again[path]
        deep = due_now & self._fresh
        self._fresh -= deep
        return self._settled(paths | due_now, deep) if paths or due_now else []

    def _gather(self, timeout: float) -> set[str]:
        try:
            paths = set(self._events.get(timeout=timeout))
        except queue.Empty:
            return set()
        deadline = time.monotonic() + LONGEST
        while len(paths) > MANY and time.monotonic() < deadline:
            try:
                paths |= self._events.get(timeout=MANY_QUIET)
            except queue.Empty:
                if not any(path.endswith("/.git/index.lock") and os.path.lexists(path) for path in paths):
                    break
        while not self._events.empty():
            paths |= self._events.get()
        return paths

    def _settled(self, paths: set[str], deep: set[str]) -> list[Change]:
        """The changes at the paths; none yet if one of them looks half done, for they belong together."""
        whole = len(paths) > RESCAN or deep & self._paths
        looked = self._everything() if whole else self._look(paths, deep)
        now = time.monotonic()
        doubtful = {path for path in looked if self._is_half_done(path, looked)} - self._doubted
        if doubtful and len(paths) <= MANY:
            self._doubted |= doubtful
            self._again |= dict.fromkeys(paths, now + SETTLE)
            self._fresh |= deep
            return []
        self._doubted -= looked.keys()
        if len(paths) > RESCAN:
            self._again |= dict.fromkeys(self._paths, now + SECOND_LOOK)
            self._fresh |= self._paths
        return self._compare(looked)

    def _is_half_done(self, path: str, looked: dict[str, Known | None]) -> bool:
        known, found = self._known.get(path), looked[path]
        if known is None or known.kind != "file":
            return False
        if found is None:
            return looked.get(os.path.dirname(path), known) is not None
        return found.kind == "file" and not found.size and bool(known.size)

    def _look(self, paths: set[str], deep: set[str]) -> dict[str, Known | None]:
        """What is at the paths now, and below those that are new or gone directories."""
        found: dict[str, Known | None] = {}
        for path in paths:
            if _pruned(self._rules, path):
                continue
            now, before = self._inspect(path), self._known.get(path)
            if now is None or (before is not None and before.kind == "dir" and now.kind != "dir"):
                prefix = f"{path}/"
                found.update(dict.fromkeys((each for each in self._known if each.startswith(prefix)), None))
            if now is not None and now.kind == "dir" and (path in deep or before is None or before.kind != "dir"):
                self._walk(path, found)
                if path not in deep:
                    self._fresh.add(path)
                    self._again[path] = time.monotonic() + SECOND_LOOK
            if before is not None or (now is not None and self._concerns(path)):
                found[path] = now
        return found

    def _everything(self) -> dict[str, Known | None]:
        found: dict[str, Known | None] = dict.fromkeys(self._known)
        for path in self._paths:
            now = self._inspect(path)
            if now is not None:
                found[path] = now
                if now.kind == "dir":
                    self._walk(path, found)
        return found

    def _walk(self, top: str, found: dict[str, Known | None]) -> None:
        pending = [top]
        while pending:
            directory = pending.pop()
            try:
                names = os.listdir(directory)
            except OSError:
                continue  # it went away, or is not ours to read
            for name in names:
                path = f"{directory.rstrip('/')}/{name}"
                now = None if _pruned(self._rules, path) else self._inspect(path)
                if now is None:
                    continue
                if now.kind == "dir":
                    pending.append(path)
                if self._concerns(path):
                    found[path] = now

    def _concerns(self, path: str) -> bool:
        return any(rule.accepts(path) for rule in self._rules)

    def _compare(self, looked: dict[str, Known | None]) -> list[Change]:
        """Take what was seen as known, and tell where it differs from what was known before."""
        changes = []
        for path, now in looked.items():
            before = self._known.get(path)
            if now is None:
                if before is not None:
                    del self._known[path]
                    changes.append(Change(path, "gone", before.kind))
                continue
            self._known[path] = now
            if before is None or before.digest != now.digest:
                changes.append(Change(path, now.kind, before.kind if before is not None else "gone"))
        return changes

    def _inspect(self, path: str) -> Known | None:
        try:
            found = os.lstat(path)
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
            before = self._known.get(path)
            if before is not None and before.stamp == stamp:
                return before
            return _read(path, found, stamp)
        except OSError:
            return None

    def _listen(self) -> bool:
        """Watch what is to be watched now; true if something may have been missed.

        That is so where a directory was made or replaced, and where watching failed.
        """
        deep, flat = roots(self._paths)
        watched = [(path, _identity(path)) for path in (*deep, "", *flat)]
        if watched == self._watched and not any(listener.failed for listener in self._listeners):
            return False
        for listener in self._listeners:
            listener.stop()
        self._watched = watched
        self._listeners = [_Listener(paths, self._events, recursive=paths is deep) for paths in (deep, flat) if paths]
        return True


class _Listener:
    """A thread that takes events of some directories from watchfiles and passes the paths on."""

    def __init__(self, paths: list[str], events: queue.Queue[frozenset[str]], *, recursive: bool) -> None:
        """Nothing that happens after this is missed."""
        self.failed = False
        """Whether nothing more is heard: watchfiles gives up at a name that is no text, too."""
        self._notify = RustNotify(paths, False, False, 0, recursive, True)
        self._events = events
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                events = self._notify.watch(DEBOUNCE_MS, QUIET_MS, 0, self._stop)
            except WatchfilesRustInternalError:
                self.failed = True
                return
            if isinstance(events, str):
                return
            self._events.put(frozenset(path for _, path in events))


def roots(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """What to watch for these paths: directories with all below them, and directories alone.

    A file is watched through its directory, because editors replace it; what does not exist through the nearest
    directory that does.
    """
    deep: set[str] = set()
    flat: set[str] = set()
    for path in paths:
        if os.path.isdir(path):
            deep.add(path)
        elif os.path.lexists(path):
            flat.add(os.path.dirname(path))
        else:
            deep.add(_nearest_directory(path))
    kept = [path for path in deep if not _covered(path, deep - {path})]
    return sorted(kept), sorted(path for path in flat if path not in deep and not _covered(path, deep))


def _nearest_directory(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _covered(path: str, directories: Iterable[str]) -> bool:
    return any(path.startswith(f"{directory.rstrip('/')}/") for directory in directories)


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _pruned(rules: Sequence[Rule], path: str) -> bool:
    return all(rule.prunes(path) for rule in rules)


def _read(path: str, found: os.stat_result, stamp: tuple[int, ...]) -> Known | None:
    """None for what is neither file, link nor directory."""
    mode = found.st_mode
    if time.time_ns() - found.st_ctime_ns < _COARSE:
        stamp = ()
    if stat.S_ISDIR(mode):
        return Known("dir", stamp, b"dir", 0)
    if stat.S_ISLNK(mode):
        return Known("link", stamp, b"link:" + os.fsencode(os.readlink(path)), 0)
    if not stat.S_ISREG(mode):
        return None
    if found.st_size > HASHED:
        return Known("file", stamp, b"large:%d:%d" % (found.st_size, found.st_mtime_ns), found.st_size)
    digest = hashlib.blake2b(b"%o" % stat.S_IMODE(mode), digest_size=16)
    with open(path, "rb") as file:
        size = 0
        while data := file.read(_BLOCK):
            digest.update(data)
            size += len(data)
    return Known("file", stamp, b"file:" + digest.digest(), size)
