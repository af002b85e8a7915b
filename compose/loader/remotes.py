"""Tell addresses of remote compose files from paths, and keep what they bring within its own directory.

What an address stands for is found out by a port of the load's options, which puts the files into a directory of their
own; the loader only reads there. What is written in them is foreign: a path that is relative, or that leads to another
compose file, may not leave that directory, not by a symbolic link either.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from compose.errors import ConsistencyError, Problem

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.loader.files import Files
    from compose.loader.report import Report

OCI = "oci://"
_GIT = re.compile(
    r"""(?: github\.com/.
          | (?:git|ssh)://.
          | https?://[^?#]*\.git(?:[?#]|\Z)
          | [\w-]+@[A-Za-z0-9.-]+:.
        )""",
    re.VERBOSE,
)


class Remote(NamedTuple):
    """A remote compose file, and what came with it."""

    address: str
    """As it was written."""
    directory: str
    """Absolute: where its files are; nobody else's are there."""
    file: str
    """The compose file, below the directory."""
    identity: str
    """The digest or commit that the address stands for now."""


def is_remote(text: str) -> bool:
    """Whether a word for a compose file is the address of a remote one: `oci://`, or a git repository's as git spells it."""
    return text.startswith(OCI) or _GIT.match(text) is not None


def inside(path: str, directory: str) -> bool:
    """Whether a clean path is the directory or lies below it."""
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def shown(path: str, remote: Remote) -> str:
    """What messages call a file of a remote resource."""
    if path == remote.file and remote.address.endswith((".yaml", ".yml")):
        return remote.address
    return f"{remote.address}/{os.path.relpath(path, os.path.dirname(remote.file))}"


class Confinement:
    """Watches that paths written in remote files stay where they belong; reports those that do not."""

    def __init__(self, files: Files, directory: str, report: Report) -> None:
        """`directory`: what the paths are relative to."""
        self._files = files
        self._directory = directory
        self._report = report
        self.mark: SourceMark | None = None
        """Of the value that is being resolved."""

    def check(self, path: str, located: str) -> None:
        """Report a relative path of a remote file that leads elsewhere; absolute ones are for the user to decide."""
        remote = self._files.remote_of(self.mark)
        if remote is None or not os.path.isabs(located):
            return
        root = remote.directory if inside(self._directory, remote.directory) else self._directory
        if not inside(located, root) or not inside(os.path.realpath(located), os.path.realpath(root)):
            self._report.put(ConsistencyError, _escape(path, root, self.mark))


def escape(path: str, root: str, mark: SourceMark | None) -> ConsistencyError:
    """The error for a remote file that names another outside of what came with it."""
    return ConsistencyError(_escape(path, root, mark))


def _escape(path: str, root: str, mark: SourceMark | None) -> Problem:
    return Problem(f"{path}: a path in a remote file may not lead out of {root}", mark=mark)
