"""Images change hands with a real Docker Engine: what either side saves, the other loads and runs.

Skipped unless PYCOMPOSE_TEST_PEER is set; the engine is that of tests/rigs/docker.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.kit import peer
from tests.kit.rootfs import tiny_rootfs, tiny_tar
from tests.kit.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.peer,
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not peer.is_chosen() or os.geteuid() != 0, reason=f"needs root and {peer.SWITCH}"),
]

NAME = f"pycompose-test/x{secrets.token_hex(3)}"
"""On Docker's side; everything of this name goes at the end."""


class Docker:
    """Requests to Docker's API, their bodies files."""

    def __init__(self) -> None:
        self.socket = peer.start()["DOCKER_HOST"].removeprefix("unix://")

    def curl(self, method: str, path: str, *options: str) -> bytes:
        command = ["curl", "-fsS", "--unix-socket", self.socket, "-X", method, *options, f"http://docker{path}"]
        return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300).stdout

    def post(self, path: str, body: object = None) -> Any:
        data = ("-H", "Content-Type: application/json", "-d", json.dumps(body)) if body is not None else ()
        found = self.curl("POST", path, *data)
        return json.loads(found) if found else None

    def load(self, archive: Path) -> str:
        return self.curl("POST", "/images/load?quiet=1", "-T", str(archive)).decode()

    def import_rootfs(self, archive: Path, reference: str, *changes: str) -> str:
        repository, _, tag = reference.rpartition(":")
        asked = "".join(f"&changes={quote(change)}" for change in changes)
        lines = self.curl("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}{asked}", "-T", str(archive))
        return str(json.loads(lines.splitlines()[-1])["status"])

    def save(self, names: list[str], archive: Path) -> None:
        query = "&".join(f"names={quote(name, safe='')}" for name in names)
        self.curl("GET", f"/images/get?{query}", "-o", str(archive))

    def image(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.curl("GET", f"/images/{quote(name, safe='')}/json")))

    def run(self, image: str, *command: str) -> str:
        """What a container of the image prints; the container is gone afterwards."""
        made = self.post("/containers/create", {"Image": image, "Cmd": list(command), "Tty": True})["Id"]
        try:
            self.post(f"/containers/{made}/start")
            assert self.post(f"/containers/{made}/wait")["StatusCode"] == 0
            return self.curl("GET", f"/containers/{made}/logs?stdout=1").decode()
        finally:
            self.curl("DELETE", f"/containers/{made}?force=1")

    def close(self) -> None:
        for image in json.loads(self.curl("GET", "/images/json")):
            for tag in image["RepoTags"] or ():
                if tag.startswith(f"{NAME}:"):
                    self.curl("DELETE", f"/images/{quote(tag, safe='')}?force=1")


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    found = Docker()
    yield found
    found.close()


@pytest.fixture(scope="module")
def ours() -> Iterator[Stack]:
    """A pycompose of its own."""
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    made = Stack(root=root, project=f"t{secrets.token_hex(3)}")
    try:
        yield made
        made.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_an_archive_of_ours_loads_in_docker_and_runs(docker: Docker, ours: Stack) -> None:
    change = ("-c", 'CMD ["/bin/cat", "/etc/passwd"]', "-c", "ENV WHO=ours", "-c", "USER app")
    ours.run("image", "import", "-q", *change, str(tiny_rootfs()), f"{NAME}:ours")
    ours.run("image", "tag", f"{NAME}:ours", f"{NAME}:again")
    ours.run("image", "save", "-o", "ours.tar", NAME)
    answer = docker.load(ours.folder / "ours.tar")
    assert f"Loaded image: {NAME}:ours" in answer
    assert f"Loaded image: {NAME}:again" in answer
    theirs = docker.image(f"{NAME}:ours")
    [mine] = json.loads(ours.run("image", "inspect", f"{NAME}:ours").out)
    assert theirs["RepoTags"] == mine["RepoTags"]
    for key in ("Id", "RootFS", "Architecture", "Os", "Size"):
        assert theirs[key] == mine[key], key
    # Docker writes a time anew, without zeros at its end
    assert theirs["Created"].rstrip("0Z") == mine["Created"].rstrip("0Z")
    assert theirs["Config"]["Env"] == mine["Config"]["Env"]
    assert docker.run(f"{NAME}:again", "/bin/sh", "-c", "/bin/echo $WHO; /bin/id -u").split() == ["ours", "2000"]


def test_an_archive_of_docker_loads_in_ours_and_runs(docker: Docker, ours: Stack, tmp_path: Path) -> None:
    rootfs = tiny_tar(tmp_path / "rootfs.tar")
    identity = docker.import_rootfs(rootfs, f"{NAME}:theirs", 'CMD ["/bin/sleep", "1000"]', "ENV WHO=theirs")
    archive = tmp_path / "theirs.tar"
    docker.save([f"{NAME}:theirs"], archive)
    assert ours.run("image", "load", "-i", str(archive)).out == f"Loaded image: {NAME}:theirs\n"
    [mine] = json.loads(ours.run("image", "inspect", f"{NAME}:theirs").out)
    theirs = docker.image(f"{NAME}:theirs")
    assert mine["Id"] == identity
    for key in ("RepoTags", "Config", "RootFS", "Created", "Comment", "DockerVersion", "Architecture", "Os", "Size"):
        assert mine[key] == theirs[key], key
    ours.compose(f"services: {{a: {{image: '{NAME}:theirs', init: true}}}}")
    ours.run("up", "-d")
    assert ours.exec("a", "/bin/sh", "-c", "/bin/echo $WHO; /bin/id -u").lines == ["theirs", "0"]
    ours.run("down", "-t", "0")


def test_layers_with_deletions_survive_the_journey_there_and_back(docker: Docker, ours: Stack, tmp_path: Path) -> None:
    docker.import_rootfs(tiny_tar(tmp_path / "rootfs.tar"), f"{NAME}:base")
    script = "/bin/rm /etc/group; /bin/mkdir /made; /bin/echo changed > /made/file; /bin/chmod 600 /made/file"
    made = docker.post("/containers/create", {"Image": f"{NAME}:base", "Cmd": ["/bin/sh", "-c", script]})["Id"]
    try:
        docker.post(f"/containers/{made}/start")
        assert docker.post(f"/containers/{made}/wait")["StatusCode"] == 0
        docker.post(f"/commit?container={made}&repo={NAME}&tag=top", {"Cmd": ["/bin/sleep", "1000"]})
    finally:
        docker.curl("DELETE", f"/containers/{made}?force=1")
    docker.save([f"{NAME}:top"], tmp_path / "there.tar")
    docker.curl("DELETE", f"/images/{quote(f'{NAME}:top', safe='')}")
    ours.run("image", "load", "-q", "-i", str(tmp_path / "there.tar"))
    look = "/bin/stat -c %a:%s /made/file; /bin/ls /etc"
    ours.compose(f"services: {{a: {{image: '{NAME}:top', init: true}}}}")
    ours.run("up", "-d")
    seen = [
        line
        for line in ours.exec("a", "/bin/sh", "-c", look).lines
        if line not in ("hostname", "hosts", "mtab", "resolv.conf")
    ]
    assert seen == ["600:8", "passwd"]
    ours.run("down", "-t", "0")
    ours.run("image", "save", "-o", "back.tar", f"{NAME}:top")
    assert "Loaded image" in docker.load(ours.folder / "back.tar")
    back = docker.run(f"{NAME}:top", "/bin/sh", "-c", look).split()
    assert [line for line in back if line not in ("hostname", "hosts", "mtab", "resolv.conf")] == seen
    assert docker.image(f"{NAME}:top")["Id"] == ours.run("image", "inspect", "-f", "{{.Id}}", f"{NAME}:top").out.strip()


def test_a_layout_with_compressed_layers_goes_on_to_docker(docker: Docker, ours: Stack, tmp_path: Path) -> None:
    """Layers that came compressed are saved as they came; Docker has to know both kinds."""
    ours.run("image", "import", "-q", "-c", 'CMD ["/bin/true"]', str(tiny_rootfs()), f"{NAME}:packed")
    ours.run("image", "save", "-o", "plain.tar", f"{NAME}:packed")
    layout = tmp_path / "layout"
    with tarfile.open(ours.folder / "plain.tar") as archive:
        archive.extractall(layout, filter="data")
    blobs = layout / "blobs/sha256"

    def put(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_text())
    packed = put(gzip.compress((blobs / manifest["layers"][0]["digest"][7:]).read_bytes(), mtime=0))
    manifest["layers"] = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **packed}]
    index["manifests"][0] |= put(json.dumps(manifest).encode())
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "manifest.json").unlink()
    ours.run("image", "rm", f"{NAME}:packed")
    assert ours.run("image", "load", "-i", str(layout)).out == f"Loaded image: {NAME}:packed\n"
    ours.run("image", "save", "-o", "packed.tar", f"{NAME}:packed")
    assert (ours.folder / "packed.tar").stat().st_size < (ours.folder / "plain.tar").stat().st_size // 2
    assert "Loaded image" in docker.load(ours.folder / "packed.tar")
    assert docker.run(f"{NAME}:packed", "/bin/echo", "unpacked").split() == ["unpacked"]
