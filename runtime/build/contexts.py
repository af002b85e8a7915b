"""The build contexts by name: the main one (the empty name) and additional ones, each opened when it is first needed.

What belongs to a user's directory is root's in the image, as with BuildKit; an archive's or a repository's files too.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from runtime.build import remotes
from runtime.build.dockerfile import contextref
from runtime.build.filedigests import FileDigests, place_of
from runtime.build.ignorefile import rules_of
from runtime.build.trees import Tree
from runtime.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from runtime.build.progress import Vertex
    from runtime.build.request import BuildRequest

MAX_DOCKERFILE: Final = 8 << 20
"""Bytes."""
DEFAULT: Final = "Dockerfile"
IGNORE: Final = ".dockerignore"
ROOT: Final = (0, 0)


class Contexts:
    """Opens contexts; `digests` is where what is known about their files is kept, `known_hosts` ssh's file of hosts."""

    def __init__(self, request: BuildRequest, work: str, digests: str, known_hosts: str) -> None:
        self._request = request
        self._work = os.path.realpath(work)  # as paths in it that were followed are
        self._digests = digests
        self.known_hosts = known_hosts
        self._trees: dict[str, Tree] = {}
        self._lock = threading.Lock()
        self._main = ""
        self._dockerfile_name = DEFAULT
        self._dockerfile = b""

    @property
    def dockerfile_name(self) -> str:
        """What messages call the Dockerfile."""
        return self._dockerfile_name

    def load(self, vertex: Vertex) -> bytes:
        """Fetch the main context if it is remote, and read the Dockerfile. Raises NotFound, InvalidParameter."""
        request = self._request
        self._main, alone = self._place(request.context, vertex) if request.context else ("", None)
        name = request.dockerfile or DEFAULT
        self._dockerfile_name = os.path.basename(name)
        if request.dockerfile_text is not None:
            self._dockerfile = request.dockerfile_text.encode()
        elif alone is not None:
            self._dockerfile = alone
        else:
            self._dockerfile = self._read_dockerfile(name)
        vertex.status(f"transferring dockerfile: {size(len(self._dockerfile))}", done=True)
        return self._dockerfile

    def tree(self, name: str, vertex: Vertex | None = None) -> Tree:
        """The files of a context; raises NotFound, InvalidParameter, OSError."""
        with self._lock:
            found = self._trees.get(name)
            if found is None:
                found = self._trees[name] = self._open(name, vertex)
        return found

    def is_directory(self, name: str) -> bool:
        """Whether an additional context is files of its own, and not an image or a stage."""
        files = (contextref.Directory, contextref.Git, contextref.Download)
        return isinstance(self.reference(name), files)

    def reference(self, name: str) -> contextref.ContextRef:
        """What an additional context is."""
        return contextref.parse(self._request.contexts[name])

    def close(self) -> None:
        """Remember the digests and close what is open; raises nothing, for it is an optimisation."""
        for tree in self._trees.values():
            try:
                tree.save()
            except OSError:
                continue
            finally:
                tree.close()
        self._trees.clear()

    def _open(self, name: str, vertex: Vertex | None) -> Tree:
        if not name:
            path = self._main
            if not path:
                path = f"{self._work}/no-context"
                os.makedirs(path, mode=0o755, exist_ok=True)
            rules = rules_of(self._ignore_text(path))
        else:
            place, _ = self._place(self._request.contexts[name], vertex)
            path, rules = place, rules_of(_text(self._inside(f"{place}/{IGNORE}", place)))
        remembered = not path.startswith(self._work)
        digests = FileDigests(place_of(self._digests, path) if remembered else "")
        return Tree(path, what=name, rules=rules, owner=ROOT, digests=digests)

    def _place(self, text: str, vertex: Vertex | None) -> tuple[str, bytes | None]:
        """(directory, Dockerfile if the context is nothing else) of a context."""
        reference = contextref.parse(text)
        if isinstance(reference, contextref.Git):
            request = self._request
            where = self._fresh("git")
            known = self.known_hosts
            return remotes.clone(
                reference, where, vertex, request.ssh, known_hosts=known, secrets=request.secrets
            ), None
        if isinstance(reference, contextref.Download):
            return remotes.download_context(reference.url, self._fresh("download"), vertex)
        if not isinstance(reference, contextref.Directory):
            raise InvalidParameter(f"build context {text!r}: is no directory, archive or repository")
        path = reference.path
        if os.path.isdir(path):
            return os.path.realpath(path), None
        if os.path.exists(path):
            return remotes.unpack_context(path, self._fresh("archive"))
        raise NotFound(f'unable to prepare context: path "{path}" not found', path=path)

    def _fresh(self, kind: str) -> str:
        path = f"{self._work}/context-{kind}-{len(os.listdir(self._work))}"
        os.mkdir(path, 0o755)
        return path

    def _read_dockerfile(self, name: str) -> bytes:
        path = self._inside(name if name.startswith("/") else f"{self._main}/{name}")
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_DOCKERFILE + 1)
        except FileNotFoundError:
            lower = f"{self._main}/{name.lower()}"
            if name == DEFAULT and os.path.exists(lower):
                return self._read_dockerfile(name.lower())
            raise NotFound(
                f"failed to read dockerfile: open {self._dockerfile_name}: no such file or directory", path=path
            ) from None
        except IsADirectoryError:
            raise InvalidParameter(f"failed to read dockerfile: {path}: is a directory") from None
        if len(data) > MAX_DOCKERFILE:
            raise InvalidParameter(f"failed to read dockerfile: {path}: larger than {MAX_DOCKERFILE} bytes")
        return data

    def _ignore_text(self, context: str) -> str:
        """The Dockerfile's own ignore file, else the context's."""
        name = self._request.dockerfile or DEFAULT
        path = name if name.startswith("/") else f"{context}/{name}"
        return _text(self._inside(f"{path}{IGNORE}")) or _text(self._inside(f"{context}/{IGNORE}"))

    def _inside(self, path: str, context: str = "") -> str:
        """`path`; raises InvalidParameter if it leads out of a fetched context, which may hold links to this machine's files.

        `context`: the directory it lies in, that of the main context if not given.
        """
        top = context or self._main
        if top.startswith(f"{self._work}/") and path.startswith(f"{top}/"):
            real = os.path.realpath(path)
            if not real.startswith(os.path.realpath(top) + "/"):
                raise InvalidParameter(f"{path.removeprefix(top + '/')}: leads out of the build context")
        return path


def size(count: int) -> str:
    """Bytes as BuildKit's client prints them: `84B`, `1.25kB`, `3.1MB`."""
    if count < 1000:
        return f"{count}B"
    power = min(len(str(count)) - 1, 12) // 3
    return f"{count / 1000**power:.2f}{('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(MAX_DOCKERFILE)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
