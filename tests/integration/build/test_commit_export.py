"""Images of containers, and archives of containers and images."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.kit.rootfs import tiny_rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {member.name.removeprefix("./") for member in opened}


def test_a_container_becomes_an_image_and_an_archive_with_what_it_wrote(stack: Stack, tmp_path: Path) -> None:
    stack.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /from-image\nCOPY Dockerfile /to-go\n")
    stack.run("image", "build", "-q", "-t", "files:1", ".")
    stack.run("image", "import", "-q", str(tiny_rootfs()), "tiny:1")
    stack.compose(
        """
        services:
          app:
            image: tiny:1
            command: sh -c "mkdir /srv; echo written > /srv/note; rm /etc/group; sleep 1000"
            environment: {WHO: me}
            stop_signal: SIGKILL
        """
    )
    stack.run("up", "-d")
    stack.exec("app", "cat", "/srv/note")
    made = stack.run("commit", "-m", "why", "-a", "who", "-c", 'CMD ["cat", "/srv/note"]', "app", "saved:1").out.strip()
    found = stack.api("/v1/images/saved:1")
    assert found["Id"] == made
    assert found["Config"]["Cmd"] == ["cat", "/srv/note"]
    assert "WHO=me" in found["Config"]["Env"]
    assert (found["History"][0]["Comment"], found["Author"]) == ("why", "who")
    assert stack.states() == {"app-1": "running"}
    stack.run("export", "-o", str(tmp_path / "app.tar"), "app")
    exported = names(tmp_path / "app.tar")
    assert {"srv/note", "etc/passwd"} <= exported
    assert "etc/group" not in exported
    stack.run("down", "-t", "0")
    stack.compose("services: {again: {image: 'saved:1'}}")
    assert "written" in stack.run("up", "--no-log-prefix").out
    stack.run("down")
    stack.run("image", "export", "-o", str(tmp_path / "image.tar"), "files:1")
    assert {"from-image", "to-go"} <= names(tmp_path / "image.tar")
    history = stack.run("image", "history", "--format", "{{.CreatedBy}}", "files:1").out.splitlines()
    assert history == ["COPY Dockerfile /to-go # buildkit", "COPY Dockerfile /from-image # buildkit"]
