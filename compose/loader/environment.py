"""The variables a project is interpolated with, and where each came from."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.errors import SourceMark
    from compose.loader.files import Files
    from compose.loader.report import Report


class Variables(dict[str, str]):
    """Names and values; `used` holds every name that was asked for, set or not."""

    def __init__(self, values: Mapping[str, str], used: set[str] | None = None) -> None:
        super().__init__(values)
        self.used: set[str] = set() if used is None else used

    def look_up(self, name: str) -> str | None:
        """The value of a variable, None if it is not set; asking for it is noted."""
        self.used.add(name)
        return self.get(name)


class Environment:
    """Variables of the caller's environment and of env files; what is set first wins."""

    def __init__(
        self,
        values: Mapping[str, str],
        report: Report,
        origins: Mapping[str, str] | None = None,
        used: set[str] | None = None,
    ) -> None:
        self.values = Variables(values, used)
        self.report = report
        self.origins = dict(origins) if origins is not None else dict.fromkeys(values, "environment")
        """Name to `environment`, a file's path, or `project` for what the loader sets."""
        self.offered: dict[str, str] = {}
        """What env files and the loader itself would set in an empty environment."""
        self._unset: set[str] = set()

    def lookup(self, name: str) -> str | None:
        """The value of a variable, None if it is not set."""
        return self.values.look_up(name)

    def add(self, values: Mapping[str, str], origin: str) -> None:
        """Take the variables that are not set yet."""
        for name, value in values.items():
            self.offered.setdefault(name, value)
            if name not in self.values:
                self.values[name] = value
                self.origins[name] = origin

    def put(self, name: str, value: str, origin: str) -> None:
        """Set a variable whatever it was."""
        self.values[name] = value
        self.origins[name] = origin

    def copy(self) -> Environment:
        """Variables that an included project may add to without its includer seeing them."""
        return Environment(self.values, self.report, self.origins, self.values.used)

    def unset(self, name: str, mark: SourceMark | None) -> None:
        """Warn, once a variable, that a template mentions what is not set."""
        if name in self._unset:
            return
        self._unset.add(name)
        where = f" ({mark})" if mark is not None else ""
        self.report.warn(f'The "{name}" variable is not set. Defaulting to a blank string.{where}')


def read_env_files(
    environment: Environment, paths: Iterable[str], files: Files, mark: SourceMark | None = None
) -> None:
    """Add the variables of files: later files win over earlier ones, what is already set over all of them.

    A value refers to what is set, then to what its own file says above it, then to earlier files.
    """
    from compose.loader.dotenv import parse

    found: dict[str, str] = {}
    origins: dict[str, str] = {}
    for path in paths:
        fresh = ChainMap[str, str]({}, found)
        parse(files.text(path, mark), path, environment.lookup, fresh)
        origins.update(dict.fromkeys(fresh.maps[0], path))
        found.update(fresh.maps[0])
    for name, value in found.items():
        environment.add({name: value}, origins[name])
