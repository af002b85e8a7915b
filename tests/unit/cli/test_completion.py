"""What `__complete` answers, and that real shells understand the scripts that ask it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 20.0
"""Seconds for a shell to start and to answer."""
PROFILED = """
name: app
services:
  web: {image: localhost/host}
  worker: {image: localhost/host}
  tool: {image: localhost/host, profiles: [debug]}
"""


@pytest.fixture
def complete(pycompose):
    (pycompose.folder / "compose.yaml").write_text(PROFILED)

    def ask(*words: str) -> tuple[list[str], str]:
        result = pycompose("__complete", *words)
        assert (result.code, result.err) == (0, "")
        *lines, rest = result.out.splitlines()
        return [line.partition("\t")[0] for line in lines], rest

    return ask


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        (["res"], ["restart"], ":nothing"),
        (["up", "--det"], ["--detach"], ":nothing"),
        (["up", "w"], ["web", "worker"], ":nothing"),
        (["up", "web", ""], ["tool", "worker"], ":nothing"),
        (["up", "--", "w"], ["web", "worker"], ":nothing"),
        (["--profile", "debug", "up", "-d", "to"], ["tool"], ":nothing"),
        (["up", "--pull", ""], ["always", "missing", "never"], ":nothing"),
        (["up", "--pull=a"], ["--pull=always"], ":nothing"),
        (["up", "-t", "3", "we"], ["web"], ":nothing"),
        (["up", "-t3", "we"], ["web"], ":nothing"),
        (["scale", "w"], ["web=", "worker="], ":nothing"),
        (["up", "--scale", "we"], ["web="], ":nothing"),
        (["exec", "-T", "wo"], ["worker"], ":nothing"),
        (["exec", "web", ""], [], ":files"),
        (["exec", "web", "ls", "--"], [], ":files"),
        (["cp", "we"], ["web:"], ":files"),
        (["--progress", "q"], ["quiet"], ":nothing"),
        (["--profile", ""], ["debug"], ":nothing"),
        (["-f", ""], [], ":files"),
        (["--project-directory", ""], [], ":directories"),
        (["engine", "st"], ["start", "status", "stop"], ":nothing"),
        (["engine", "status", "--f"], ["--format"], ":nothing"),
        (["completion", ""], ["bash", "fish", "zsh"], ":nothing"),
        (["ps", "--status", "r"], ["removing", "restarting", "running"], ":nothing"),
    ],
)
def test_candidates(complete, words: list[str], found: list[str], rest: str) -> None:
    assert complete(*words) == (found, rest)


def test_a_project_that_cannot_be_read_completes_to_nothing_and_says_nothing(complete, pycompose) -> None:
    (pycompose.folder / "compose.yaml").write_text("services: [")
    assert complete("up", "") == ([], ":nothing")


def test_only_candidates_that_need_the_engine_ask_it(complete, engine) -> None:
    complete("up", "")
    complete("")
    assert engine.requests == []
    assert complete("network", "inspect", "") == ([], ":nothing")
    assert engine.requests


def test_a_shell_without_a_script_is_told_which_there_are(pycompose) -> None:
    result = pycompose("completion", "tcsh")
    assert result.code == 1
    assert "bash, fish, zsh" in result.err


# --- real shells -----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a project, the command in `bin` and the scripts beside it."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "pycompose"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} PYCOMPOSE_WARM=0 exec {sys.executable} -m compose "$@"\n')
    command.chmod(0o755)
    (tmp_path / "compose.yaml").write_text(PROFILED)
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run([command, "completion", shell], capture_output=True, text=True, check=True).stdout
        (tmp_path / f"script.{shell}").write_text(script)
    return tmp_path


def environ(project: Path) -> dict[str, str]:
    path = f"{project / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(project), "TERM": "dumb", "PYCOMPOSE_ROOT": str(project / "root"), "PS1": "$ "}


def typed(project: Path, shell: list[str], lines: list[str], last: str, until: str) -> str:
    """What an interactive shell shows after `lines` and the keys of `last`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execve(shell[0], shell, environ(project))
    shown = ""
    deadline = time.monotonic() + PATIENCE

    def read(mark: str) -> None:
        nonlocal shown
        while mark not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    shown += os.read(terminal, 4096).decode(errors="replace").replace("\a", "")
                except OSError:
                    return

    try:
        os.write(terminal, "".join(f"{line}\n" for line in [*lines, "echo rea''dy"]).encode())
        read("ready")
        shown = ""
        os.write(terminal, last.encode())
        read(until)
    finally:
        os.kill(pid, 9)
        os.close(terminal)
        os.waitpid(pid, 0)
    return shown


KEYS = [
    ("pycompose up --deta\t", "--detach "),
    ("pycompose up wo\t", "worker "),
    ("pycompose up --pull=alw\t", "--pull=always"),
    ("pycompose up --scale wo\t", "worker="),
    ("pycompose cp wo\t", "worker:"),
    ("pycompose -f compo\t", "compose.yaml"),
    ("pycompose engine statu\t", "status "),
]


@pytest.mark.parametrize(("keys", "shown"), KEYS)
def test_bash_completes(project: Path, keys: str, shown: str) -> None:
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("bash is not installed")
    assert shown in typed(project, [shell, "--norc", "-i"], ["source ./script.bash"], keys, shown)


@pytest.mark.parametrize(("keys", "shown"), KEYS)
def test_zsh_completes(project: Path, keys: str, shown: str) -> None:
    shell = shutil.which("zsh")
    if shell is None:
        pytest.skip("zsh is not installed")
    lines = ["autoload -U compinit; compinit -u -D", "source ./script.zsh"]
    assert shown.strip() in typed(project, [shell, "-f", "-i"], lines, keys, shown.strip())


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pycompose up --deta", "--detach"),
        ("pycompose up wo", "worker"),
        ("pycompose up --pull=alw", "--pull=always"),
        ("pycompose --progress q", "quiet"),
        ("pycompose -f compo", "compose.yaml"),
    ],
)
def test_fish_completes(project: Path, line: str, found: str) -> None:
    shell = shutil.which("fish")
    if shell is None:
        pytest.skip("fish is not installed")
    done = subprocess.run(
        [shell, "-c", f"source ./script.fish; complete -C '{line}'"],
        cwd=project,
        env=environ(project),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert [shown.partition("\t")[0] for shown in done.stdout.splitlines()] == [found]
