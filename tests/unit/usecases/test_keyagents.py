"""Key files get an agent of their own for as long as a build lasts."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from compose.errors import ComposeError
from compose.usecases import imagebuild
from compose.usecases.keyagents import KeyAgents

if TYPE_CHECKING:
    from pathlib import Path

needs_ssh = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs openssh-client")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ours", "-f", tmp_path / "key"], check=True)
    return tmp_path / "key"


def running(place: str) -> list[str]:
    """Processes that have `place` on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if place.encode() in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


@needs_ssh
def test_a_key_is_in_an_agent_that_goes_with_the_build(key: Path, tmp_path: Path) -> None:
    with KeyAgents(os.environ) as keys:
        [agent] = imagebuild.agents(["default=key"], {}, str(tmp_path), keys)
        [again] = imagebuild.agents(["other=key"], {}, str(tmp_path), keys)
        listed = subprocess.run(
            ["ssh-add", "-l"], env={**os.environ, "SSH_AUTH_SOCK": agent["Socket"]}, capture_output=True, check=True
        )
        assert b"ours" in listed.stdout
        assert again["Socket"] == agent["Socket"]
        assert running(agent["Socket"])
    assert not os.path.exists(agent["Socket"])
    deadline = time.monotonic() + 5
    while running(agent["Socket"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(agent["Socket"])


@needs_ssh
def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no key\n")
    (tmp_path / "text").chmod(0o600)
    with KeyAgents(os.environ) as keys, pytest.raises(ComposeError, match="ssh default=text: ssh-add does not take"):
        imagebuild.agents(["default=text"], {}, str(tmp_path), keys)


def test_without_openssh_a_key_file_is_refused_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("key\n")
    with KeyAgents({"PATH": "/nowhere"}) as keys, pytest.raises(ComposeError, match="install openssh-client"):
        imagebuild.agents(["default=text"], {}, str(tmp_path), keys)
