"""Builds that start from images in a real registry, leave their cache in it, and give the same image wherever they run."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit import registry as kit
from tests.kit.rootfs import tiny_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.stack import Result, Stack

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Registry]:
    made = kit.Registry(tmp_path_factory.mktemp("registry")).start()
    yield made
    made.stop()


@pytest.fixture
def workshop(stack: Stack, registry: kit.Registry, tmp_path: Path) -> Stack:
    """A stack with a home of its own; `base:1` in the registry is a small root file system."""
    stack.environment["HOME"] = str(tmp_path / "home")
    if "base" not in kit.get(f"http://{registry.host}/v2/_catalog").decode():
        stack.run("image", "import", "-q", str(tiny_tar(tmp_path / "tiny.tar")), f"{registry.host}/base:1")
        stack.run("image", "push", "-q", f"{registry.host}/base:1")
        anew(stack)
    return stack


def anew(stack: Stack) -> None:
    """Nothing was ever built or pulled here."""
    stack.run("engine", "stop")
    (stack.root / "data").rename(stack.root / f"old-{time.monotonic_ns()}")


def build(stack: Stack, dockerfile: str, *flags: str, ok: bool = True) -> Result:
    stack.write("Dockerfile", dockerfile)
    return stack.run("image", "build", "--progress", "plain", *flags, ".", ok=ok)


def steps(result: Result) -> dict[str, str]:
    """Instruction -> CACHED, DONE or ERROR."""
    names = dict(re.findall(r"^#(\d+) \[(?:\S+ +)?\d+/\d+\] (.*)$", result.err, re.MULTILINE))
    ends = dict(re.findall(r"^#(\d+) (CACHED|DONE|ERROR|CANCELED)", result.err, re.MULTILINE))
    return {name: ends.get(number, "") for number, name in names.items() if not name.startswith("FROM")}


def image(stack: Stack, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.run("image", "inspect", reference).out)[0]
    return found


def digest_of(registry: kit.Registry, repository: str, tag: str) -> str:
    """The digest of a manifest in the registry."""
    data = kit.get(f"http://{registry.host}/v2/{repository}/manifests/{tag}")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


CACHES = {
    "registry": ("type=registry,ref={host}/cache:min", "type=registry,ref={host}/cache:min", False),
    "registry, all stages": ("type=registry,ref={host}/cache:max,mode=max", "{host}/cache:max", True),
    "directory, all stages": ("type=local,dest={folder}/max,mode=max", "type=local,src={folder}/max", True),
    "inline": ("type=inline", "{host}/app:1", False),
}
"""What a cache is written to and read from, and whether it has what only other stages need."""


def test_a_store_that_has_never_built_takes_every_step_from_any_kind_of_cache(
    workshop: Stack, registry: kit.Registry, tmp_path: Path
) -> None:
    text = f"""
        FROM {registry.host}/base:1 AS grow
        COPY seed /seed
        RUN cat /seed > /grown; touch /other
        FROM {registry.host}/base:1
        WORKDIR /srv
        COPY --from=grow /grown .
        RUN cat grown > again
        """
    workshop.write("seed", "s\n")
    places = {"host": registry.host, "folder": tmp_path}
    flags = ["-t", f"{registry.host}/app:1", "--push"]
    flags += [f"--cache-to={to.format(**places)}" for to, _, _ in CACHES.values()]
    first = build(workshop, text, *flags)
    assert set(steps(first).values()) == {"DONE"}
    layers = image(workshop, f"{registry.host}/app:1")["RootFS"]["Layers"]
    for name, (_, source, whole) in CACHES.items():
        anew(workshop)
        done = steps(build(workshop, text, "-t", "again:1", "--cache-from", source.format(**places)))
        wanted = {step: how for step, how in done.items() if whole or "seed" not in step}
        assert set(wanted.values()) == {"CACHED"}, (name, done)
        found = image(workshop, "again:1")["RootFS"]["Layers"]
        assert found == layers if whole else len(found) == len(layers)


def test_a_base_is_pulled_when_it_is_missing_and_anew_only_when_asked(workshop: Stack, registry: kit.Registry) -> None:
    def publish(text: str) -> None:
        workshop.write("word", text)
        build(workshop, f"FROM {registry.host}/base:1\nCOPY word /word\n", "-t", f"{registry.host}/moving:1", "--push")
        workshop.run("image", "rm", "-f", f"{registry.host}/moving:1")

    dockerfile = f"FROM {registry.host}/moving:1\nRUN cat /word\n"
    publish("first\n")
    pinned = digest_of(registry, "moving", "1")
    assert " first" in build(workshop, dockerfile).err
    kept = image(workshop, f"{registry.host}/moving:1")["Id"]
    workshop.write("word", "second\n")
    build(workshop, f"FROM {registry.host}/base:1\nCOPY word /word\n", "-t", f"{registry.host}/other:1")
    workshop.run("image", "tag", f"{registry.host}/other:1", f"{registry.host}/moving:1")
    workshop.run("image", "push", "-q", f"{registry.host}/moving:1")
    workshop.run("image", "tag", kept, f"{registry.host}/moving:1")
    assert steps(build(workshop, dockerfile)) == {"RUN cat /word": "CACHED"}
    assert " second" in build(workshop, dockerfile, "--pull").err
    assert " first" in build(workshop, f"FROM {registry.host}/moving@{pinned}\nRUN cat /word; true\n", "--pull").err
    both = build(workshop, f"FROM {registry.host}/moving:1@{pinned}\nRUN cat /word; true;\n")
    assert " first" in both.err
    gone = build(workshop, f"FROM {registry.host}/moving:nine\n", ok=False)
    assert gone.code == 1
    assert "Dockerfile:1" in gone.err
    assert f"{registry.host}/moving:nine" in gone.err


def test_a_private_base_needs_a_login(workshop: Stack, registry: kit.Registry, tmp_path: Path) -> None:
    private = kit.Registry(tmp_path / "private", password=True).start()
    try:
        workshop.run("login", "-u", kit.USER, "--password-stdin", private.host, stdin=kit.PASSWORD)
        text = f"FROM {registry.host}/base:1\nRUN echo mine > /mine\n"
        build(workshop, text, "-t", f"{private.host}/secret:1", "--push")
        workshop.run("image", "rm", "-f", f"{private.host}/secret:1")
        dockerfile = f"FROM {private.host}/secret:1\nRUN cat /mine\n"
        workshop.run("logout", private.host)
        refused = build(workshop, dockerfile, ok=False)
        assert refused.code == 1
        assert f"pycompose login {private.host}" in refused.err
        workshop.run("login", "-u", kit.USER, "--password-stdin", private.host, stdin=kit.PASSWORD)
        assert steps(build(workshop, dockerfile)) == {"RUN cat /mine": "DONE"}
    finally:
        private.stop()


def test_a_base_is_taken_from_an_index_by_its_platform(workshop: Stack, registry: kit.Registry) -> None:
    for architecture in ("amd64", "arm64"):
        workshop.write(architecture, f"{architecture}\n")
    name = f"{registry.host}/many:1"
    text = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /architecture\n"
    build(workshop, text, "--platform", "linux/amd64,linux/arm64", "-t", name, "--push")
    anew(workshop)
    show = f"FROM {registry.host}/base:1\nCOPY --from=foreign /architecture /\nRUN cat /architecture\n"
    for foreign in (f"FROM --platform=linux/arm64 {name} AS foreign\n", f"FROM {name} AS foreign\n"):
        done = build(workshop, foreign + show)
        assert (" arm64" in done.err.split("RUN cat")[1]) == ("arm64" in foreign)
    build(workshop, f"FROM {name}\nLABEL on=top\n", "--platform", "linux/arm64", "-t", "top:1")
    assert image(workshop, "top:1")["Architecture"] == "arm64"
    wrong = build(workshop, f"FROM --platform=linux/s390x {name}\nLABEL on=top\n", ok=False)
    assert wrong.code == 1
    assert "linux/s390x" in wrong.err
    single = build(workshop, f"FROM --platform=linux/arm64 {registry.host}/base:1\nLABEL on=top\n", ok=False)
    assert single.code == 1
    assert "does not match the specified platform: wanted linux/arm64, actual: linux/amd64" in single.err
    assert "Dockerfile:1" in single.err


def test_two_machines_build_the_same_image_of_one_epoch(workshop: Stack, registry: kit.Registry) -> None:
    text = f"""
        FROM {registry.host}/base:1 AS below
        RUN mkdir -p /made/here; echo one > /made/here/one; chmod 700 /made
        FROM {registry.host}/base:1
        WORKDIR /srv/app
        COPY --chown=app files .
        COPY --from=below /made /made
        ADD words.tar /words/
        RUN cat /words/etc/passwd
        RUN echo two > two; rm files-to-go; touch -d @100 old; rm -r /home/app
        USER app
        CMD ["cat"]
        """
    for name in ("a", "b/c", "files-to-go"):
        workshop.write(f"files/{name}", name)
    tiny_tar(workshop.folder / "words.tar", ("cat",))
    found = []
    for flags in ([], ["--no-cache"], ["--no-cache"]):
        time.sleep(1.1 if flags else 0)  # layers know whole seconds
        for path in workshop.folder.rglob("*"):
            path.touch()
        build(workshop, text, "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "-t", "same:1", *flags)
        made = image(workshop, "same:1")
        found.append((made["Id"], made["RootFS"]["Layers"], made["Created"]))
        if not flags:
            anew(workshop)
    assert found[0] == found[1] == found[2]
    assert found[0][2] == "2023-11-14T22:13:20Z"
