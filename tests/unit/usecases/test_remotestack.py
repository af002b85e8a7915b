"""What a project whose files came from elsewhere takes of this machine, by whom it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.loader.remotes import Remote
from compose.usecases.projects import ProjectRequest, load_project
from compose.usecases.remotestack import Mention, host_access, mentions

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "oci://registry.test/app:1"
FAR = """\
services:
  web:
    image: "x:${TAG:-1}"
    privileged: true
    pid: host
    volumes: ["/etc:/e", "./own:/o", "data:/d"]
    env_file: [{path: /etc/far.env, required: false}]
    configs: [c]
    devices: ["/dev/fuse"]
  model: {provider: {type: model}}
volumes: {data: {driver: local, driver_opts: {type: none, o: bind, device: /srv}}}
configs: {c: {file: /etc/passwd}}
"""
NEAR = """\
include: [{address}]
services:
  mine: {{image: x, privileged: true, volumes: ["/etc:/e"]}}
"""


def request(tmp_path: Path, **environ: str) -> tuple[ProjectRequest, Remote]:
    far = tmp_path / "far"
    far.mkdir()
    (far / "compose.yaml").write_text(FAR)
    remote = Remote(ADDRESS, str(far), str(far / "compose.yaml"), "sha256:1")
    # no cache: it would outlive the test
    found = {"PYCOMPOSE_CACHE": "0", **environ}
    return ProjectRequest(cwd=str(tmp_path), environ=found, remote=lambda _: remote), remote


def test_what_a_remote_file_takes_is_listed_and_what_the_user_wrote_is_not(tmp_path: Path) -> None:
    asked, remote = request(tmp_path)
    (tmp_path / "compose.yaml").write_text(NEAR.format(address=ADDRESS))
    assert host_access(asked, load_project(asked), [remote]) == [
        "service model: runs the program of provider model",
        "service web: bind mount of /etc",
        "service web: device /dev/fuse",
        "service web: privileged: true",
        "service web: pid: host",
        "service web: variables of /etc/far.env",
        "config c: content of /etc/passwd",
        "volume data: /srv",
    ]


def test_variables_are_told_with_the_value_they_have_and_its_origin(tmp_path: Path) -> None:
    asked, _ = request(tmp_path, TAG="2")
    asked = asked.replace(files=(ADDRESS,))
    assert mentions(asked, load_project(asked)) == [Mention("TAG", "2", "environment", required=False, default="1")]
    (tmp_path / ".env").write_text("TAG=3\n")
    other = asked.replace(environ={"PYCOMPOSE_CACHE": "0"})
    assert mentions(other, load_project(other)) == [Mention("TAG", "3", "env file", required=False, default="1")]
