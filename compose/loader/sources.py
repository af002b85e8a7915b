"""Finds the files of a project, its directory, its variables, its name and its profiles.

The order matters and is the reference's: `.env` of the current directory may say where the compose files are, and the
directory of the first of them may hold another `.env`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from compose.errors import ComposeError, LoadError, Problem, SourceNotFound
from compose.loader.environment import Environment, read_env_files
from compose.loader.remotes import is_remote
from compose.loader.shortforms import clean_path

if TYPE_CHECKING:
    from compose.loader.files import Files
    from compose.loader.options import LoadOptions
    from compose.loader.report import Report

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml",
)  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")


class Sources(NamedTuple):
    """Where a project is read from."""

    files: tuple[str, ...]
    """Absolute paths, or `-`."""
    directory: str
    environment: Environment
    env_files: tuple[str, ...]
    profiles: tuple[str, ...]
    name: str
    """The name given by flag or variable, or guessed from the directory."""
    named: bool
    """Whether it was given, and so beats `name:`."""


def find(options: LoadOptions, files: Files, report: Report) -> Sources:
    """Find everything. Raises LoadError if there is nothing to read, SourceNotFound for a named file that is absent."""
    environment = Environment(options.environ, report)
    if "PWD" not in environment.values:
        environment.put("PWD", options.cwd, "project")
    given = tuple(_located(options.cwd, file) for file in options.files)
    project_directory = _absolute(options.cwd, options.project_directory) if options.project_directory else ""
    env_files = _env_files(options, files, _directory(options, project_directory, given), ())
    read_env_files(environment, env_files, files)
    if not given:
        given = _from_variable(options, environment) or _discover(project_directory or options.cwd, files, report)
    directory = _directory(options, project_directory, given)
    env_files = _env_files(options, files, directory, env_files)
    read_env_files(environment, env_files, files)
    if not given:
        raise LoadError(
            Problem(
                "no configuration file provided: not found",
                expected=f"one of {', '.join(NAMES)} in {directory} or above, or a file named with -f",
            )
        )
    name, named = _name(options, environment, directory)
    remotes = {address: files.remote(address).file for address in given if is_remote(address)}
    given = tuple(remotes.get(file, file) for file in given)
    if remotes:
        # whatever else is said, and though the name and `.env` are still those of the caller's place
        directory = os.path.dirname(next(iter(remotes.values())))
    profiles = options.profiles or tuple(
        profile.strip() for profile in (environment.lookup("COMPOSE_PROFILES") or "").split(",")
    )
    return Sources(given, directory, environment, env_files, profiles, name, named)


def normalize_name(text: str) -> str:
    """A project name made of `text`: lower case, without the characters a name may not have."""
    return "".join(re.findall(r"[a-z0-9_-]", text.lower())).lstrip("_-")


def _absolute(cwd: str, path: str) -> str:
    return clean_path(os.path.join(cwd, path))


def _located(cwd: str, file: str) -> str:
    """A named file as it is opened: a path, `-` or an address."""
    return file if file == "-" or is_remote(file) else _absolute(cwd, file)


def _directory(options: LoadOptions, project_directory: str, files: tuple[str, ...]) -> str:
    if project_directory:
        return project_directory
    first = next((file for file in files if file != "-"), "")
    return os.path.dirname(first) if first and not is_remote(first) else options.cwd


def _env_files(options: LoadOptions, files: Files, directory: str, before: tuple[str, ...]) -> tuple[str, ...]:
    named = options.env_files or tuple(filter(None, options.environ.get("COMPOSE_ENV_FILES", "").split(",")))
    if named:
        located = tuple(_absolute(options.cwd, path) for path in named)
        for path in located:
            if not files.exists(path):
                raise SourceNotFound(Problem(f"couldn't find env file: {path}"))
            if os.path.isdir(path):
                raise SourceNotFound(Problem(f"{path} is a directory"))
        return located
    disabled = options.environ.get("COMPOSE_DISABLE_ENV_FILE")
    if disabled is not None and _boolean(disabled, "COMPOSE_DISABLE_ENV_FILE"):
        return before
    default = os.path.join(directory, ".env")
    return (default,) if files.is_file(default) else before


def _boolean(text: str, name: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ComposeError(f'{name}: invalid boolean "{text}"; expected true or false')


def _from_variable(options: LoadOptions, environment: Environment) -> tuple[str, ...]:
    value = environment.lookup("COMPOSE_FILE")
    if value is None:
        return ()
    separator = environment.lookup("COMPOSE_PATH_SEPARATOR") or os.pathsep
    # an address holds colons: without a separator of one's own it stands alone
    named = [value] if is_remote(value) and separator == ":" else value.split(separator)
    located = tuple(_located(options.cwd, file) for file in named)
    for file in located:
        if file != "-" and not is_remote(file) and not os.path.exists(file):
            raise SourceNotFound(Problem(f"stat {file}: no such file or directory (named by COMPOSE_FILE)"))
    return located


def _discover(directory: str, files: Files, report: Report) -> tuple[str, ...]:
    while True:
        found = [path for name in NAMES if files.exists(path := os.path.join(directory, name))]
        if found:
            overrides = [path for name in OVERRIDES if files.exists(path := os.path.join(directory, name))]
            for candidates, kind in ((found, "config"), (overrides, "override")):
                if len(candidates) > 1:
                    report.warn(f"Found multiple {kind} files with supported names: {', '.join(candidates)}")
                    report.warn(f"Using {candidates[0]}")
            return (found[0], *overrides[:1])
        parent = os.path.dirname(directory)
        if parent == directory:
            return ()
        directory = parent


def _name(options: LoadOptions, environment: Environment, directory: str) -> tuple[str, bool]:
    given = options.project_name or environment.lookup("COMPOSE_PROJECT_NAME") or ""
    if given:
        if not _NAME.match(given):
            meant = normalize_name(given)
            hint = f'; did you mean "{meant}"?' if meant else ""
            raise ComposeError(
                f'invalid project name "{given}": must consist only of lowercase alphanumeric characters, hyphens, and'
                f" underscores as well as start with a letter or number{hint}"
            )
        return given, True
    return normalize_name(os.path.basename(directory)), False
