"""Tests in a virtual machine with systemd and cgroup v2, which really boots and really loses its power.

Emulated where KVM does not run, and slow then: they are asked for by `make test-vm` and by nothing else.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.stack import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

RIG = REPOSITORY / "tests" / "rigs" / "vm"
SWITCH = "PYCOMPOSE_TEST_VM"
DISTRIBUTION = "pycompose-engine"
TIMEOUT = 1200.0
"""Seconds for one command in the machine: emulated code is 10 to 30 times slower."""
INSTALL = """
tar -C /usr/local/lib/python3.11/dist-packages -xf /payload/product.tar
printf '#!/bin/sh\\nexec python3 -m compose "$@"\\n' > /usr/local/bin/pycompose
chmod 755 /usr/local/bin/pycompose
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(3 * TIMEOUT))
            if not os.environ.get(SWITCH):
                item.add_marker(pytest.mark.skip(reason="boots a virtual machine: make test-vm"))


@dataclass(frozen=True)
class Vm:
    """A machine whose disk is kept from boot to boot, or a fresh one for each command."""

    payload: Path
    disk: str = ""

    def run(self, script: str, *options: str) -> str:
        """The output of a script that root runs in it; fails with all that was said unless it exits with 0."""
        kept = ("--disk", self.disk) if self.disk else ()
        arguments = ["--mount", f"{self.payload}:/payload:ro", "--timeout", str(TIMEOUT), *kept, *options]
        done = subprocess.run(
            [str(RIG), "exec", *arguments, "--", "bash", "-c", f"set -eu\n{script}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * TIMEOUT,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def results(self, script: str, *options: str) -> dict[str, Any]:
        """What the script said in lines `=NAME JSON-or-text`."""
        found = {}
        for line in self.run(script, *options).splitlines():
            if line.startswith("="):
                name, _, value = line[1:].partition(" ")
                try:
                    found[name] = json.loads(value)
                except ValueError:
                    found[name] = value
        return found


def say(name: str, command: str) -> str:
    """A line of a script that says what a command prints as the result `name`, on one line."""
    return f"echo ={shlex.quote(name)} \"$({command} | tr '\\n' ' ')\"\n"


@pytest.fixture(scope="session")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the product and what it depends on in one archive, compiled."""
    folder = tmp_path_factory.mktemp("payload")
    stage = folder / "stage"
    for package in ("compose", "runtime", "schemas"):
        shutil.copytree(REPOSITORY / package, stage / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _dependencies(DISTRIBUTION) - {DISTRIBUTION}:
        _copy_distribution(name, stage)
    compileall.compile_dir(stage, quiet=2)
    with tarfile.open(folder / "product.tar", "w") as archive:
        archive.add(stage, ".")
    shutil.rmtree(stage)
    return folder


@pytest.fixture
def vm(payload: Path) -> Vm:
    return Vm(payload)


@pytest.fixture
def kept_vm(payload: Path) -> Iterator[Vm]:
    """A machine with a disk of its own."""
    made = Vm(payload, f"test-{secrets.token_hex(4)}")
    yield made
    subprocess.run([str(RIG), "rm", made.disk], check=False, capture_output=True)


def _dependencies(name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another version of Python
        if name not in found:
            found.add(name)
            required = [line for line in distribution.requires or [] if "extra ==" not in line]
            waiting += [re.match(r"[\w.-]+", line).group() for line in required]
    return found


def _copy_distribution(name: str, stage: Path) -> None:
    for file in importlib.metadata.distribution(name).files or []:
        source = Path(str(file.locate()))
        if ".." in file.parts or "__pycache__" in file.parts or not source.exists():
            continue
        target = stage / str(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
