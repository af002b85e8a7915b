"""Find the project that a command is about: its files loaded, or only its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import ComposeError, ConsistencyError, LoadError
from compose.model.record import Record, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compose.loader.options import LoadOptions
    from compose.loader.remotes import Remote
    from compose.model.project import Project


class ProjectOptions(Record):
    """The global options that say which project is meant, and how it is read."""

    files: tuple[str, ...] = ()
    project_name: str = ""
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    project_directory: str = ""
    compatibility: bool = False
    all_resources: bool = False


class ProjectRequest(ProjectOptions):
    """Which project is meant: global options and the caller's surroundings."""

    environ: Mapping[str, str] = Spec(None, dict)  # type: ignore[assignment]
    cwd: str = "/"
    stdin: Callable[[], str] | None = None
    remote: Callable[[str], Remote] | None = None
    """Fetches remote compose files."""
    warn: Callable[[str], None] | None = None


def load_project(request: ProjectRequest, services: Sequence[str] = ()) -> Project:
    """The project with the named services' profiles active, for a command that creates containers.

    What cannot run at the same time, or not on this host, is refused before anything is created: of the named services
    and what they need, all if none is named. Raises LoadError, NoSuchService.
    """
    from compose.loader.conflicts import refuse_conflicts
    from compose.usecases.hostnetworks import overlaps

    project = _load(request, services)
    selected = project.with_selected(services)
    refuse_conflicts(selected)
    problems = overlaps(selected, request.environ)
    if problems:
        raise ConsistencyError(problems)
    return project


def _load(request: ProjectRequest, services: Sequence[str]) -> Project:
    from compose.loader.cache import load

    project = load(load_options(request).replace(conflicts=False)).project
    tell = request.warn or (lambda _: None)
    for warning in project.warnings:
        tell(warning)
    if request.compatibility:
        project = project.replace(separator="_")
    return project.with_enabled(services) if services else project


def project_or_name(request: ProjectRequest, services: Sequence[str] = ()) -> tuple[Project | None, str]:
    """The project and its name; None for the project where only the name is known (`-p` without files)."""
    if request.project_name and not request.files:
        return None, request.project_name
    try:
        project = _load(request, services)
    except LoadError:
        known = request.environ.get("COMPOSE_PROJECT_NAME")
        if known and not request.files:
            return None, known
        raise
    return project, project.name


def project_name(request: ProjectRequest) -> str:
    """The project's name, by the shortest way there is."""
    known = request.project_name or request.environ.get("COMPOSE_PROJECT_NAME")
    name = known or _load(request, ()).name
    if not name:
        raise ComposeError("project name can't be empty. Use `--project-name` to set a valid name")
    return name


def load_options(request: ProjectRequest) -> LoadOptions:
    """The loader's options."""
    from compose.loader.cachestore import default_directory
    from compose.loader.options import LoadOptions

    return LoadOptions(
        cache=default_directory(request.environ, os.geteuid()),
        files=request.files,
        project_name=request.project_name,
        profiles=request.profiles,
        env_files=request.env_files,
        project_directory=request.project_directory,
        environ=request.environ,
        cwd=request.cwd,
        stdin=request.stdin,
        remote=request.remote,
    )
