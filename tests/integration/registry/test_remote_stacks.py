"""Projects whose files lie in a registry or a repository: published, run, asked about, and read by Docker Compose too."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import peer_compose
from tests.kit import registry as kit
from tests.kit.stack import Stack, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

FILES = {
    "compose.yaml": """\
        services:
          web:
            image: localhost/host
            command: ["sleep", "1000"]
            init: true
            env_file: web.env  # renamed
            environment: {GREETING: "${GREETING:-hello}"}
          two:
            extends: {file: sub/base.yaml, service: base}
    """,
    "web.env": "KIND=published\n",
    "sub/base.yaml": "services: {base: {extends: {file: more.yaml, service: more}}}\n",
    "sub/more.yaml": "services: {more: {image: localhost/host, command: ['true']}}\n",
}
PROJECT = "application/vnd.docker.compose.project"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Registry]:
    made = kit.Registry(tmp_path_factory.mktemp("artifacts")).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def author(module_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack with a home of its own, and the files in its project."""
    module_stack.environment["HOME"] = str(tmp_path_factory.mktemp("home"))
    for name, text in FILES.items():
        module_stack.write(name, text)
    return module_stack


@pytest.fixture(scope="module")
def published(author: Stack, registry: kit.Registry) -> str:
    """The address of the project in the registry."""
    done = author.run("publish", "-y", "--with-env", f"{registry.host}/team/app:1")
    assert f" {registry.host}/team/app:1 published \n" in done.err
    return f"oci://{registry.host}/team/app:1"


@pytest.fixture
def reader(author: Stack, tmp_path: Path) -> Stack:
    """The same engine, an empty project, another home: nothing of the author's files is at hand."""
    folder = tmp_path / "root/project"
    folder.mkdir(parents=True)
    made = Reader(author.root, f"{author.project}r", dict(author.environment) | {"HOME": str(tmp_path / "home")})
    made.place = folder
    (tmp_path / "home").mkdir()
    return made


class Reader(Stack):
    """A project in another place than its engine's root."""

    place: Path

    @property
    def folder(self) -> Path:
        return self.place


def cached(stack: Stack) -> list[Path]:
    return sorted((Path(stack.environment["HOME"]) / ".cache/pycompose/remote").glob("*"))


def test_a_published_project_has_the_form_of_docker_compose(published: str, registry: kit.Registry) -> None:
    manifest = json.loads(kit.get(f"http://{registry.host}/v2/team/app/manifests/1"))
    assert manifest["artifactType"] == PROJECT
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    kinds = [layer["mediaType"].rpartition("compose.")[2] for layer in manifest["layers"]]
    assert kinds == ["file+yaml", "file+yaml", "file+yaml", "envfile"]
    assert [layer["annotations"].get("com.docker.compose.extends") for layer in manifest["layers"][:3]] == [
        None,
        "true",
        "true",
    ]


def test_what_was_published_runs_after_a_yes(published: str, reader: Stack) -> None:
    asked = reader.run("-f", published, "up", "-d", ok=False)
    assert asked.code == 1
    assert asked.err == "operation cancelled by user\n"
    assert f'Your compose stack "{published}" is stored in "{cached(reader)[0]}"' in asked.out
    assert re.search(r"^GREETING   hello   compose file   no         hello$", asked.out, re.MULTILINE)
    assert asked.out.endswith("Do you want to proceed with these variables? [Y/n]: ")
    assert not reader.ps()
    try:
        reader.run("-f", published, "up", "-d", stdin="y\n")
        environment = reader.run("-f", published, "exec", "-T", "web", "env").out.splitlines()
        assert {"KIND=published", "GREETING=hello"} <= set(environment)
        again = reader.run("-f", published, "up", "-d", "-y")
        assert "Recreate" not in again.err
    finally:
        reader.run("-f", published, "down", "-t", "0")


def test_a_moved_tag_is_seen_and_a_known_digest_is_not_fetched_again(
    author: Stack, published: str, reader: Stack, registry: kit.Registry
) -> None:
    address = f"oci://{registry.host}/team/moving"
    author.write("moving.yaml", "services: {a: {image: one}}\n")
    author.run("-f", "moving.yaml", "publish", "-y", address.removeprefix("oci://"))
    assert reader.run("-f", address, "config", "--images").out == "one\n"
    blobs = registry.log().count("GET /v2/team/moving/blobs")
    assert reader.run("-f", address, "config", "--images").out == "one\n"
    assert registry.log().count("GET /v2/team/moving/blobs") == blobs
    author.write("moving.yaml", "services: {a: {image: two}}\n")
    author.run("-f", "moving.yaml", "publish", "-y", address.removeprefix("oci://"))
    assert reader.run("-f", address, "config", "--images").out == "two\n"
    assert len(cached(reader)) == 2
    first = json.loads(kit.get(f"http://{registry.host}/v2/team/moving/manifests/latest"))
    assert first["layers"]
    pinned = f"{address}@sha256:{cached(reader)[0].name}"
    assert reader.run("-f", pinned, "config", "--images").out in ("one\n", "two\n")


def test_what_leaks_is_asked_about_before_anything_is_sent(author: Stack, registry: kit.Registry) -> None:
    name = f"{registry.host}/team/leaky:1"
    author.write(
        "leaky.yaml",
        "services: {web: {image: x, volumes: ['/etc:/e:ro'], environment: {DB_PASSWORD: hunter2}}}\n",
    )
    refused = author.run("-f", "leaky.yaml", "publish", name, stdin="y\ny\n", ok=False)
    assert refused.code == 1
    assert (
        'service "web" has environment variable(s) declared.\nTo avoid leaking sensitive data, you must' in refused.err
    )
    declined = author.run("-f", "leaky.yaml", "publish", "--with-env", name, stdin="y\nn\n")
    assert "web: /etc:/e:ro\nAre you ok to publish these bind mount declarations?" in declined.out
    assert "Are you ok to publish these sensitive data?" in declined.out
    assert "hunter2" not in declined.out
    assert "published" not in declined.err
    assert "/v2/team/leaky" not in registry.log()
    author.write("build.yaml", "services: {web: {build: .}}\n")
    only = author.run("-f", "build.yaml", "publish", "-y", name, ok=False)
    assert only.err.startswith("your Compose stack cannot be published as it only contains a build section")
    shown = author.run("--dry-run", "-f", "leaky.yaml", "publish", "-y", name)
    assert f"publish {name}: leaky.yaml\n" in shown.out
    assert "/v2/team/leaky" not in registry.log()


def test_an_application_brings_its_images_and_pins_them(author: Stack, registry: kit.Registry) -> None:
    image = f"{registry.host}/team/base:1"
    author.write("word", "x")
    subprocess.run(["tar", "cf", "layer.tar", "word"], cwd=author.folder, check=True)
    author.run("image", "import", "-q", "layer.tar", image)
    digest = author.run("image", "push", image).out.split("digest: ")[1].split()[0]
    author.write("app.yaml", f"services: {{a: {{image: '{image}'}}}}\n")
    author.run("-f", "app.yaml", "publish", "--app", f"{registry.host}/team/bundle:1")
    assert kit.get(f"http://{registry.host}/v2/team/bundle/manifests/{digest}")
    address = f"oci://{registry.host}/team/bundle:1"
    assert author.run("-f", address, "config", "--images").out == f"{image}@{digest}\n"


def test_what_a_remote_file_takes_of_the_machine_is_asked_about(
    author: Stack, registry: kit.Registry, reader: Stack
) -> None:
    author.write(
        "host.yaml",
        "services: {web: {image: localhost/host, pid: host, volumes: ['/etc:/e', './own:/o']}}\n",
    )
    name = f"{registry.host}/team/host:1"
    author.run("-f", "host.yaml", "publish", "-y", name)
    reader.compose(f"include: ['oci://{name}']\n")
    asked = reader.run("up", "-d", stdin="", ok=False)
    assert asked.code == 1
    lines = [line.removeprefix("  - ") for line in asked.out.splitlines() if line.startswith("  - ")]
    assert lines == ["service web: bind mount of /etc", "service web: pid: host"]
    assert not reader.ps()


def test_an_image_is_no_project_and_a_switch_turns_registries_off(
    author: Stack, reader: Stack, published: str, registry: kit.Registry
) -> None:
    subprocess.run(["tar", "cf", "image.tar", "web.env"], cwd=author.folder, check=True)
    author.run("image", "import", "-q", "image.tar", f"{registry.host}/team/image:1")
    author.run("image", "push", "-q", f"{registry.host}/team/image:1")
    other = reader.run("-f", f"oci://{registry.host}/team/image:1", "config", ok=False)
    assert "image:1 is not a compose project OCI artifact, but application/vnd.oci.image.config.v1+json" in other.err
    missing = reader.run("-f", f"oci://{registry.host}/team/none:1", "config", ok=False)
    assert missing.err.startswith(f'failed to pull OCI resource "{registry.host}/team/none:1": ')
    reader.environment["COMPOSE_EXPERIMENTAL_OCI_REMOTE"] = "false"
    off = reader.run("-f", published, "config", ok=False)
    assert off.err == 'OCI remote resource is disabled by "COMPOSE_EXPERIMENTAL_OCI_REMOTE"\n'


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a served repository, and its work tree."""
    base = tmp_path_factory.mktemp("git")
    tree = base / "app.git"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/compose.yml").write_text("services: {low: {image: '${WORD:-one}', volumes: ['../data:/d']}}\n")
    git(tree, "init", "-q", "-b", "main")
    commit(tree)
    port = free_port()
    words = ["--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={base}", str(base)]
    daemon = subprocess.Popen(["/usr/lib/git-core/git-daemon", *words], stderr=subprocess.DEVNULL)
    address = f"git://127.0.0.1:{port}/app.git"

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    poll(answers)
    yield address, tree
    daemon.terminate()
    daemon.wait(10)


def git(tree: Path, *words: str) -> str:
    who = ["-c", "user.name=rose", "-c", "user.email=rose@example.com"]
    return subprocess.run(["git", *who, "-C", tree, *words], check=True, capture_output=True, text=True).stdout


def commit(tree: Path) -> str:
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "more")
    return git(tree, "rev-parse", "HEAD").strip()


def test_a_repository_holds_a_project_and_a_moved_branch_is_seen(reader: Stack, repository: tuple[str, Path]) -> None:
    address, tree = repository
    first = git(tree, "rev-parse", "HEAD").strip()
    found = json.loads(reader.run("-f", f"{address}#main:sub", "config", "--format", "json").out)
    [directory] = cached(reader)
    assert directory.name == first
    assert found["services"]["low"]["volumes"][0]["source"] == f"{directory}/data"
    (tree / "sub/compose.yml").write_text("services: {low: {image: two}}\n")
    second = commit(tree)
    reader.compose(f"include: ['{address}#main:sub']\n")
    assert reader.run("config", "--images").out == "two\n"
    assert {each.name for each in cached(reader)} == {first, second}
    assert reader.run("-f", f"{address}#{first}:sub", "config", "--images").out == "one\n"
    for wrong, words in (("#none:sub", "does not contain ref none"), ("#main", "no compose file there")):
        assert words in reader.run("-f", address + wrong, "config", ok=False).err
    reader.environment["COMPOSE_EXPERIMENTAL_GIT_REMOTE"] = "0"
    off = reader.run("-f", f"{address}#main:sub", "config", ok=False)
    assert off.err == 'git remote resource is disabled by "COMPOSE_EXPERIMENTAL_GIT_REMOTE"\n'


@pytest.mark.peer
def test_docker_compose_reads_what_we_publish_and_we_what_it_does(
    author: Stack, published: str, reader: Stack, registry: kit.Registry
) -> None:
    theirs = peer_compose.binary()
    environment = reader.environ() | {"__TEST__INSECURE__REGISTRY__": "1"}

    def peer(*words: str, cwd: Path = reader.folder) -> str:
        return subprocess.run(
            [theirs, *words], cwd=cwd, env=environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def settled(text: str) -> str:
        return re.sub(r"\S*/(?:docker-compose|pycompose/remote)/[0-9a-f]{64}", "CACHE", text)

    assert settled(peer("-f", published, "config")) == settled(reader.run("-f", published, "config").out)
    name = f"{registry.host}/team/theirs:1"
    # it renames only what is the last word of its line, and leaves out what a base extends
    author.write("theirs.yaml", "services:\n  web:\n    image: x\n    env_file: web.env\n    volumes: ['./d:/d']\n")
    peer("-f", "theirs.yaml", "publish", "-y", "--with-env", name, cwd=author.folder)
    ours = reader.run("-f", f"oci://{name}", "config").out
    assert settled(ours) == settled(peer("-f", f"oci://{name}", "config"))
    assert "KIND: published" in ours
