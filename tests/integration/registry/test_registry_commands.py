"""Pull, push and login as users type them, against Debian's registry."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import registry as kit
from tests.kit.lyingregistry import LyingRegistry, digest_of, tar_of
from tests.kit.rootfs import tiny_tar
from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Registry]:
    made = kit.Registry(tmp_path_factory.mktemp("plain")).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Registry]:
    """With TLS and a password."""
    made = kit.Registry(tmp_path_factory.mktemp("private"), tls=True, password=True).start()
    yield made
    made.stop()


@pytest.fixture
def workshop(stack: Stack, tmp_path: Path) -> Stack:
    """A stack with an image `tiny`, and a home of its own."""
    stack.environment["HOME"] = str(tmp_path / "home")
    archive = tiny_tar(tmp_path / "tiny.tar")
    stack.run("image", "import", "-q", str(archive), "tiny:1", "-c", 'CMD ["sleep", "1000"]')
    return stack


def push(stack: Stack, name: str) -> str:
    """Push `tiny:1` under another name; its digest there."""
    stack.run("image", "tag", "tiny:1", name)
    out = stack.run("image", "push", name).out
    return out.split("digest: ")[1].split()[0]


def forget(stack: Stack, *names: str) -> None:
    """Remove images, so that they have to be pulled."""
    stack.run("image", "rm", "-f", *names)


def settings(stack: Stack, text: str) -> None:
    path = Path(stack.environment["HOME"]) / ".config/pycompose/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_is_pushed_comes_back_and_runs(workshop: Stack, plain: kit.Registry) -> None:
    name = f"{plain.host}/team/tiny:1"
    digest = push(workshop, name)
    manifest = json.loads(kit.get(f"http://{plain.host}/v2/team/tiny/manifests/1"))
    assert manifest["layers"][0]["mediaType"].endswith("tar+gzip")
    again = workshop.run("image", "push", name).out
    assert "Layer already exists" in again
    assert digest in again
    forget(workshop, "tiny:1", name)
    workshop.compose(f"""
        services:
          tag: {{image: "{name}", init: true}}
          digest: {{image: "{plain.host}/team/tiny@{digest}", init: true}}
          both: {{image: "{plain.host}/team/tiny:1@{digest}", init: true}}
    """)
    up = workshop.run("up", "-d")
    assert " tag Pulling \n" in up.err
    assert " tag Pulled \n" in up.err
    assert set(workshop.states().values()) == {"running"}
    assert workshop.exec("tag", "cat", "/etc/passwd").out.startswith("root:")
    again = workshop.run("up", "-d")
    assert "Pulling" not in again.err
    assert "Pulled" in workshop.run("up", "-d", "--pull", "always", "--quiet-pull").err
    listed = workshop.run("images", "--format", "json").out
    assert "team/tiny" in listed


def test_a_layer_is_mounted_from_another_repository(workshop: Stack, plain: kit.Registry) -> None:
    push(workshop, f"{plain.host}/one/tiny:1")
    before = plain.log().count("PUT /v2/two")
    workshop.run("image", "tag", "tiny:1", f"{plain.host}/two/tiny:1")
    out = workshop.run("image", "push", f"{plain.host}/two/tiny:1").out
    assert "Mounted from one/tiny" in out
    uploads = [line for line in plain.log().splitlines() if "PUT /v2/two/tiny/blobs" in line]
    assert not before
    assert len(uploads) <= 1, "no more than the configuration was sent"


def test_login_opens_a_private_registry_with_its_own_authority(workshop: Stack, private: kit.Registry) -> None:
    settings(workshop, f'[registry."{private.host}"]\ninsecure = false\nca = "{private.ca}"\n')
    name = f"{private.host}/tiny:1"
    workshop.run("image", "tag", "tiny:1", name)
    refused = workshop.run("image", "push", name, ok=False)
    assert refused.code == 1
    assert f"pycompose login {private.host}" in refused.err
    wrong = workshop.run("login", "-u", kit.USER, "--password-stdin", private.host, stdin="wrong", ok=False)
    assert (wrong.code, "401 Unauthorized" in wrong.err) == (1, True)
    done = workshop.run("login", "-u", kit.USER, "--password-stdin", private.host, stdin=f"{kit.PASSWORD}\n")
    assert done.out == "Login Succeeded\n"
    assert "stored unencrypted" in done.err
    workshop.run("image", "push", "-q", name)
    forget(workshop, "tiny:1", name)
    workshop.compose(f'services: {{a: {{image: "{name}", init: true}}}}')
    workshop.run("up", "-d")
    assert workshop.states() == {"a-1": "running"}
    workshop.run("logout", private.host)
    workshop.run("down")
    forget(workshop, name)
    gone = workshop.run("up", "-d", ok=False)
    assert gone.code == 1
    assert f"pull access denied for {private.host}/tiny, repository does not exist" in gone.err
    assert gone.err.splitlines()[-1].startswith(f"{workshop.folder}/compose.yaml:1:")
    for path in workshop.root.rglob("*"):
        if path.is_file():
            assert kit.PASSWORD.encode() not in path.read_bytes(), path


def test_credentials_are_on_no_command_line(workshop: Stack) -> None:
    slow = LyingRegistry().start()
    try:
        made = slow.image("app:1", tar_of({"x": b"x" * 100}))
        slow.lie("/manifests/", lambda _request: slow.released.wait(20) and None)
        config = Path(workshop.environment["HOME"]) / ".docker/config.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"auths": {slow.host: {"username": "rose", "password": "unmistakable"}}}))
        process = workshop.start("image", "pull", f"{slow.host}/app:1")
        poll(lambda: slow.requests, what="the worker asks")
        seen = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    seen.append((entry / "cmdline").read_bytes() + (entry / "environ").read_bytes())
                except OSError:
                    continue
        assert not [text for text in seen if b"unmistakable" in text]
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert time.monotonic() - began < 2
        assert process.returncode == 130
        root = os.fsencode(str(workshop.root))
        poll(lambda: not workers(root), 5, "the worker is gone with its client")
        assert made.digest not in slow.blobs
        assert digest_of(b"") not in slow.blobs
    finally:
        slow.stop()


def workers(root: bytes) -> list[str]:
    """Pids of workers on a data root, by what they have open."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if b"runtime.worker" not in (entry / "cmdline").read_bytes():
                continue
            targets = {os.fsencode(os.readlink(link)) for link in (entry / "fd").iterdir()}
        except OSError:
            continue
        if any(target.startswith(root) for target in targets):
            found.append(entry.name)
    return found


def test_a_mirror_serves_what_its_registry_has(workshop: Stack, plain: kit.Registry, tmp_path: Path) -> None:
    push(workshop, f"{plain.host}/library/tiny:2")
    mirror = kit.Registry(tmp_path / "mirror", proxy_for=f"http://{plain.host}").start()
    try:
        settings(workshop, f'[registry."docker.io"]\nmirrors = ["http://{mirror.host}"]\n')
        forget(workshop, "tiny:1", f"{plain.host}/library/tiny:2")
        workshop.run("image", "pull", "-q", "tiny:2")
        assert "tiny" in workshop.run("image", "ls").out
        assert "/v2/library/tiny/manifests/2" in mirror.log()
    finally:
        mirror.stop()


def test_pull_and_push_of_a_project(workshop: Stack, plain: kit.Registry) -> None:
    push(workshop, f"{plain.host}/a:1")
    push(workshop, f"{plain.host}/b:1")
    forget(workshop, f"{plain.host}/a:1", f"{plain.host}/b:1")
    workshop.compose(f"""
        services:
          a: {{image: "{plain.host}/a:1", depends_on: [b]}}
          b: {{image: "{plain.host}/b:1"}}
          missing: {{image: "{plain.host}/missing:1", profiles: [more]}}
          built: {{image: "{plain.host}/a:1", build: ., profiles: [built]}}
    """)
    assert workshop.run("pull", "a").err.splitlines()[-1] == " a Pulled "
    assert workshop.run("pull", "-q").err == ""
    shown = workshop.run("pull", "--include-deps", "--policy", "missing", "a").err
    assert sorted(shown.splitlines()) == [
        " a Skipped - Image is already present locally ",
        " b Skipped - Image is already present locally ",
    ]
    failed = workshop.run("--profile", "more", "pull", ok=False)
    assert failed.code == 1
    assert f"manifest for {plain.host}/missing:1 not found: manifest unknown" in failed.err.splitlines()[-1]
    assert workshop.run("--profile", "more", "pull", "--ignore-pull-failures").code == 0
    pushed = workshop.run("--profile", "built", "push", "built", "b").err
    assert " b Skipped \n" in pushed
    assert " built Pushed \n" in pushed
    plan = workshop.run("--dry-run", "pull", "a").out
    assert plan == f"[] -> #1 image:{plain.host}/a:1, PullImage, pull\n"


def test_one_off_containers_pull_as_well(workshop: Stack, plain: kit.Registry) -> None:
    name = f"{plain.host}/runner:1"
    push(workshop, name)
    forget(workshop, name)
    workshop.compose(f'services: {{a: {{image: "{name}"}}}}')
    never = workshop.run("run", "--rm", "--pull", "never", "a", "true", ok=False)
    assert (never.code, 'pull_policy "never" forbids' in never.err) == (1, True)
    done = workshop.run("run", "--rm", "--quiet-pull", "a", "echo", "hello")
    assert done.out == "hello\n"
    assert "a Pulled" in done.err
    assert "Downloading" not in done.err


def test_all_tags_of_a_repository(workshop: Stack, plain: kit.Registry) -> None:
    for tag in ("x", "y"):
        push(workshop, f"{plain.host}/many:{tag}")
    forget(workshop, f"{plain.host}/many:x", f"{plain.host}/many:y")
    assert workshop.run("image", "pull", "-a", "-q", f"{plain.host}/many").out.splitlines() == [
        f"{plain.host}/many:x",
        f"{plain.host}/many:y",
    ]
    assert workshop.run("image", "push", "-a", f"{plain.host}/many").out.count("digest: ") == 2
    wrong = workshop.run("image", "pull", "-a", f"{plain.host}/many:x", ok=False)
    assert wrong.err == "tag can't be used with --all-tags/-a\n"


def test_an_image_of_this_machine_is_not_pushed(workshop: Stack, plain: kit.Registry) -> None:
    result = workshop.run("image", "push", "localhost/host", ok=False)
    assert result.code == 1
    assert "cannot be pushed" in result.err
    absent = workshop.run("image", "push", f"{plain.host}/absent:1", ok=False)
    assert absent.err == f"An image does not exist locally with the tag: {plain.host}/absent\n"
