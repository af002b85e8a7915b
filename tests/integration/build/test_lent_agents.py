"""RUN --mount=type=ssh with OpenSSH's own agent: what is seen inside, as whom, and that it ends with the step."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.stack import Stack

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs openssh-client"),
]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(socket, fingerprint of the one key) of an agent."""
    folder = tmp_path_factory.mktemp("agent")
    place = folder / "socket"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lent", "-f", str(key)], check=True)
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as probe:
                if place.exists() and probe.connect_ex(str(place)) == 0:
                    break
        environment = {**os.environ, "SSH_AUTH_SOCK": str(place)}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
        told = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
        yield place, told.split()[1]
    finally:
        process.terminate()
        process.wait(10)


def build(stack: Stack, text: str, *flags: str, ok: bool = True) -> str:
    stack.write("Dockerfile", text)
    return stack.run("image", "build", "--progress", "plain", "--no-cache", *flags, ".", ok=ok).err


def test_a_step_sees_the_keys_as_whoever_it_may(module_stack: Stack, agent: tuple[Path, str]) -> None:
    place, fingerprint = agent
    text = build(
        module_stack,
        """
        FROM localhost/host
        RUN --mount=type=ssh ssh-add -l; stat -c 'first %a %u:%g' $SSH_AUTH_SOCK
        USER nobody
        RUN --mount=type=ssh,id=other,uid=65534,gid=12,mode=0660,target=/run/mine ssh-add -l; stat -c 'second %a %u:%g' /run/mine
        RUN --mount=type=ssh ssh-add -l || echo not for everybody
        RUN test ! -e /run/mine && echo "gone [$SSH_AUTH_SOCK]"
        """,
        *("--ssh", f"default={place}", "--ssh", f"other={place}"),
    )
    assert text.count(fingerprint) == 2
    assert "first 600 0:0" in text
    assert "second 660 65534:12" in text
    assert " not for everybody" in text
    assert "gone []" in text


def test_an_agent_that_was_not_given_is_missed_only_where_it_is_required(module_stack: Stack) -> None:
    text = "FROM localhost/host\nRUN --mount=type=ssh{} echo without $SSH_AUTH_SOCK.\n"
    assert "without ." in build(module_stack, text.format(""))
    assert "unset ssh forward key default" in build(module_stack, text.format(",required"), ok=False)
