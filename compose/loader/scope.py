"""The ground a set of files is read on: the project itself, an included project, or a file that is extended.

They share one report and one set of files; each has its own directory, variables and base for relative paths.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.loader.remotes import Confinement, escape, inside, is_remote
from compose.loader.resolve_paths import Base
from compose.loader.shortforms import clean_path

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.loader.environment import Environment
    from compose.loader.files import Files
    from compose.loader.options import LoadOptions
    from compose.loader.report import Report
    from compose.loader.tree import Map, Path


class Shared:
    """What all scopes of one load have in common."""

    def __init__(self, options: LoadOptions, files: Files, report: Report) -> None:
        self.options = options
        self.files = files
        self.report = report
        self.parsed: dict[str, list[tuple[Map, tuple[Path, ...]]]] = {}
        self.written: list[Map] = []
        """With `trace`: the documents before anything was done to them, in the order they were laid over each other."""
        self.extended: dict[tuple[str, str], tuple[Map, tuple[Path, ...]]] = {}


class Scope:
    """One set of files with its directory, variables and base."""

    def __init__(
        self,
        shared: Shared,
        environment: Environment,
        directory: str,
        base: str,
        *,
        included: tuple[str, ...] = (),
        only_merge: bool = False,
    ) -> None:
        self.shared = shared
        self.environment = environment
        self.directory = directory
        """Absolute: where `extends` and `include` look for files."""
        self.base = base
        """What relative paths are resolved against; relative itself if the outer scope will resolve them again."""
        self.included = included
        """The files that led here, for the detection of cycles."""
        self.only_merge = only_merge
        """The file of a base service: its extends, includes and schema are looked at where it is used."""

    @property
    def report(self) -> Report:
        return self.shared.report

    @property
    def files(self) -> Files:
        return self.shared.files

    def locate(self, path: str) -> str:
        """The absolute path of a file named in this scope."""
        return clean_path(os.path.join(self.directory, path))

    def find(self, path: str, mark: SourceMark | None) -> str:
        """The absolute path of a file named at `mark` by a path or an address; what is remote is fetched.

        Raises SourceNotFound, and ConsistencyError where a remote file names one that did not come with it.
        """
        if is_remote(path):
            return self.files.remote(path, mark).file
        located = self.locate(path)
        remote = self.files.remote_of(mark)
        if remote is not None and not any(inside(located, root) for root in (remote.directory, self.directory)):
            raise escape(path, remote.directory, mark)
        return located

    def relative(self, path: str) -> str:
        """The directory `path` is or lies in, as seen from this scope's directory."""
        located = self.locate(path)
        if not self.files.is_directory(located):
            located = os.path.dirname(located)
        return os.path.relpath(located, self.directory)

    def path_base(self) -> Base:
        """What `resolve_paths` needs."""
        return self.base_at(self.base)

    def base_at(self, directory: str) -> Base:
        """The same for paths relative to another directory."""
        home = self.shared.options.environ.get("HOME", "")
        confinement = Confinement(self.files, directory, self.report) if self.files.remotes else None
        return Base(directory, home, self.files, confinement)
