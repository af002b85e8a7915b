"""Whole projects as people write them: every view of `config` prints what the reference prints, to the letter."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest

from compose.cli import app
from compose.cli.console import Console
from compose.errors import ComposeError
from tests.conformance.loader.differential import differences
from tests.kit.peer_compose import Case

HERE = os.path.join(os.path.dirname(__file__), "projects")
NAMES = sorted(os.listdir(HERE))
VARIABLES = {
    "GITLAB_HOME": "/srv/gitlab",
    "AIRFLOW_UID": "1000",
    "GRAFANA_PASSWORD": "secret",
    "APP_IMAGE": "app:1",
    "DB_URL": "postgres://x",
    "OPENAI_API_KEY": "",
}
ARGUMENTS: dict[str, list[str]] = {
    "wordpress": ["--all-resources"],
    "tasks": ["--profile", "debug"],
    "airflow": ["--profile", "*"],
    "monorepo": ["--profile", "tools"],
}
VIEWS = (
    "", "--format json", "--no-interpolate", "--no-normalize", "--no-path-resolution", "--no-consistency",
    "--no-interpolate --format json", "--no-normalize --no-path-resolution", "--hash *",
    "--variables --format json", "--variables --format yaml", "--environment", "--profiles",
)  # fmt: skip
DIFFER = {("--format json", "ai")}
"""Documented: the reference's JSON has no models. (`--no-env-resolution` does nothing there, so it is no view.)"""
UNORDERED = ("--services", "--images", "--volumes", "--networks", "--models", "--variables")
"""Go walks a map at random."""


def _case(name: str) -> Case:
    files: dict[str, str] = {}
    for folder, _, names in os.walk(os.path.join(HERE, name)):
        for each in names:
            path = os.path.join(folder, each)
            with open(path, encoding="utf-8") as file:
                files[os.path.relpath(path, os.path.join(HERE, name))] = file.read()
    return Case(files, ARGUMENTS.get(name, []), VARIABLES)


def _ours(case: Case, view: str) -> tuple[int, str]:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(
        stdin=io.StringIO(),
        stdout=out,
        stderr=io.StringIO(),
        environ={**case.env, "PWD": case.directory},
        cwd=case.directory,
    )
    try:
        code = app.main([*case.args, "config", *view.split()], console)
    except ComposeError as error:
        return error.exit_code, error.message
    out.flush()
    return code, out.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.mark.peer
@pytest.mark.parametrize("name", NAMES)
def test_a_project_means_the_same_to_both_programs(name: str) -> None:
    assert differences(_case(name), conflicts=False) == []


@pytest.mark.peer
@pytest.mark.parametrize("view", [*VIEWS, *UNORDERED])
def test_a_view_of_every_project_reads_the_same(view: str) -> None:
    wrong: dict[str, Any] = {}
    for name in NAMES:
        if (view, name) in DIFFER:
            continue
        case = _case(name)
        theirs = case.ask("config", *view.split())
        code, text = _ours(case, view)
        if code != theirs["code"]:
            wrong[name] = (code, text[-300:], theirs["code"], theirs["err"][-300:])
            continue
        lines = (text.splitlines(), theirs["out"].splitlines())
        if view in UNORDERED:
            lines = (sorted(lines[0]), sorted(lines[1]))
        differing = [pair for pair in zip(*lines, strict=False) if pair[0] != pair[1]]
        if code == 0 and (differing or len(lines[0]) != len(lines[1])):
            wrong[name] = differing[:3] or (len(lines[0]), len(lines[1]))
    assert wrong == {}
