"""Repositories behind ssh: with the keys of a lent agent and no others, and a host that is not what it was is refused."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import sshd
from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        shutil.which("ssh-agent") is None or not os.path.exists("/usr/bin/dpkg") or platform.machine() != "x86_64",
        reason="needs openssh-client, and Debian on x86-64 for a server",
    ),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sshd.SshServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    sshd.make_key(tmp_path / "key")
    made = sshd.SshServer(folder, tmp_path / "key.pub").start()
    yield made
    made.stop()


@pytest.fixture
def agent(tmp_path: Path, server: sshd.SshServer) -> Iterator[Path]:
    """The socket of an agent that has the key."""
    place = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        poll(place.exists, what="the agent listens")
        environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", str(tmp_path / "key")], env=environment, check=True)
        yield place
    finally:
        process.terminate()
        process.wait(10)


def known_to_this_account() -> bytes:
    path = Path.home() / ".ssh/known_hosts"
    return path.read_bytes() if path.exists() else b""


def test_a_repository_behind_ssh_wants_a_lent_agent_and_the_host_it_knows(
    stack: Stack, server: sshd.SshServer, agent: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "app.git"
    repository.mkdir()
    (repository / "Dockerfile").write_text("FROM localhost/host\nCOPY word /\nRUN cat /word\n")
    (repository / "word").write_text("over ssh\n")
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(repository), *author, *words], check=True)
    url = f"ssh://root@127.0.0.1:{server.port}{repository}"
    before = known_to_this_account()
    lent = ("--ssh", f"default={agent}")

    def build(*flags: str, ok: bool) -> str:
        return stack.run("image", "build", "--progress", "plain", "--no-cache", *flags, url, ok=ok).err

    refused = build(ok=False)
    assert "; lend the build an ssh agent that has the key: --ssh default" in refused.split("Permission denied (")[-1]
    assert " over ssh" in build(*lent, ok=True)
    assert f"[127.0.0.1]:{server.port} " in (stack.root / "data/images/known_hosts").read_text()
    stack.write("Dockerfile", f"FROM localhost/host\nADD {url} /src\nRUN cat /src/word\n")
    assert " over ssh" in stack.run("image", "build", "--progress", "plain", *lent, ".").err
    server.stop()
    server.start()
    changed = build(*lent, ok=False)
    assert "Host key verification failed; if the host has a new key, forget the old one: ssh-keygen -f" in changed
    assert " over ssh" not in changed
    assert known_to_this_account() == before
