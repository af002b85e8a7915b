"""Images of several platforms, and where results go: an index under one name, pushed, written to files, used as a base."""

from __future__ import annotations

import json
import os
import re
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit import registry as kit
from tests.kit.rootfs import tiny_tar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.stack import Result, Stack

pytestmark = pytest.mark.root

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NATIVE = ARCHITECTURES.get(os.uname().machine, "amd64")
FOREIGN = "arm64" if NATIVE == "amd64" else "amd64"
BOTH = f"linux/{NATIVE},linux/{FOREIGN}"

CROSS = """
    FROM --platform=$BUILDPLATFORM tiny:1 AS make
    ARG TARGETARCH
    RUN echo "for $TARGETARCH" > /made
    FROM base:1
    COPY --from=make /made /made
    CMD ["cat", "/made"]
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Registry]:
    made = kit.Registry(tmp_path_factory.mktemp("platforms")).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stack(module_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """With an image `tiny:1` that has programs, and `base:1` for both platforms that is this one's file system."""
    archive = tiny_tar(tmp_path_factory.mktemp("tiny") / "tiny.tar")
    module_stack.run("image", "import", "-q", str(archive), "tiny:1")
    module_stack.write("tiny/which", "some platform\n")
    build(module_stack, "FROM --platform=$BUILDPLATFORM tiny:1 AS t\nFROM scratch\nCOPY --from=t / /\n", "-t", "base:1")
    return module_stack


def build(stack: Stack, dockerfile: str, *flags: str, platforms: str = BOTH, ok: bool = True) -> Result:
    stack.write("Dockerfile", dockerfile)
    return stack.run("image", "build", "--progress", "plain", "--platform", platforms, *flags, ".", ok=ok)


def listed(stack: Stack, name: str) -> dict[str, str]:
    """Platform -> digest of the manifest, of what a name stands for."""
    found = stack.api(f"/v1/images/{name}").get("Manifests") or []
    return {each["ImageData"]["Platform"]["architecture"]: each["ID"] for each in found}


def fetched(registry: kit.Registry, path: str) -> Any:
    return json.loads(kit.get(f"http://{registry.host}/v2/{path}"))


def test_a_cross_build_needs_no_emulator_and_runs_here(stack: Stack) -> None:
    result = build(stack, CROSS, "-t", "cross:1")
    assert set(listed(stack, "cross:1")) == {NATIVE, FOREIGN}
    assert f"[linux/{NATIVE}->{FOREIGN} make 2/2] RUN" in result.err
    assert "exporting manifest list sha256:" in result.err
    [shown] = json.loads(stack.run("image", "inspect", "cross:1").out)
    assert {each["ID"] for each in shown["Manifests"]} == set(listed(stack, "cross:1").values())
    stack.compose("services: {one: {image: 'cross:1'}}")
    assert stack.run("run", "--rm", "one").out == f"for {NATIVE}\n"


def test_an_unchanged_build_for_several_platforms_is_cached_and_the_same(stack: Stack) -> None:
    build(stack, CROSS, "-t", "cross:1")
    before = listed(stack, "cross:1")
    again = build(stack, CROSS, "-t", "cross:1")
    assert listed(stack, "cross:1") == before
    assert "DONE" not in "".join(line for line in again.err.splitlines() if "RUN" in line)


def test_what_is_equal_for_all_platforms_is_done_once(stack: Stack) -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM tiny:1 AS t\nRUN echo once-$((40 + 2))\nFROM scratch\nCOPY --from=t /etc /etc\n"
    )
    assert build(stack, text, "--no-cache").err.count("once-42") == 1


def test_running_something_of_a_foreign_platform_names_line_platform_and_package(stack: Stack) -> None:
    failed = build(stack, "FROM base:1\nCOPY Dockerfile /\nRUN true\n", ok=False)
    assert failed.code == 1
    assert "Dockerfile:3" in failed.err
    assert f"linux/{FOREIGN}" in failed.err
    assert "qemu-user-static" in failed.err


def test_the_index_is_pushed_pulled_and_kept_by_collection(
    stack: Stack, registry: kit.Registry, tmp_path: Path
) -> None:
    name = f"{registry.host}/team/cross:1"
    metadata = tmp_path / "metadata.json"
    build(stack, CROSS, "-t", name, "--push", "--metadata-file", str(metadata))
    index = fetched(registry, "team/cross/manifests/1")
    assert {entry["platform"]["architecture"] for entry in index["manifests"]} == {NATIVE, FOREIGN}
    for entry in index["manifests"]:
        manifest = fetched(registry, f"team/cross/manifests/{entry['digest']}")
        assert all(layer["mediaType"].endswith("gzip") for layer in manifest["layers"])
        config = fetched(registry, f"team/cross/blobs/{manifest['config']['digest']}")
        assert config["architecture"] == entry["platform"]["architecture"]
    said = json.loads(metadata.read_text())
    assert said["containerimage.descriptor"]["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert said["image.name"] == name
    stack.run("image", "prune", "-f")
    again = stack.run("image", "push", name).out
    assert said["containerimage.digest"] in again
    stack.run("image", "rm", "-f", name)
    stack.run("image", "pull", "-q", "--platform", f"linux/{FOREIGN}", name)
    assert stack.api(f"/v1/images/{name}")["Architecture"] == FOREIGN


def test_an_oci_archive_holds_all_platforms_and_a_docker_archive_one(stack: Stack, tmp_path: Path) -> None:
    build(stack, CROSS, "-t", "cross:1", "-o", f"type=oci,dest={tmp_path}/all.tar")
    with tarfile.open(tmp_path / "all.tar") as archive:
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
        names = archive.getnames()
    [top] = index["manifests"]
    assert top["mediaType"].endswith("index.v1+json")
    assert f"blobs/sha256/{top['digest'].removeprefix('sha256:')}" in names
    assert all(
        f"blobs/sha256/{digest.removeprefix('sha256:')}" in names for digest in listed(stack, "cross:1").values()
    )
    refused = build(stack, CROSS, "-t", "cross:1", "-o", f"type=docker,dest={tmp_path}/one.tar", ok=False)
    assert "manifest lists" in refused.err
    build(stack, CROSS, "-t", "one:1", "-o", f"type=docker,dest={tmp_path}/one.tar", platforms=f"linux/{NATIVE}")
    stack.run("image", "rm", "-f", "one:1")
    stack.run("image", "load", "-i", str(tmp_path / "one.tar"))
    assert stack.api("/v1/images/one:1")["Architecture"] == NATIVE


def test_an_oci_directory_is_a_context_for_either_platform(stack: Stack, tmp_path: Path) -> None:
    build(stack, CROSS, "-t", "cross:1", "-o", f"type=oci,tar=false,dest={tmp_path}/layout")
    result = build(
        stack,
        "FROM lay\nCOPY Dockerfile /\n",
        "-t",
        "of-layout:1",
        "--build-context",
        f"lay=oci-layout://{tmp_path}/layout",
    )
    assert set(listed(stack, "of-layout:1")) == {NATIVE, FOREIGN}, result.err


def test_files_of_several_platforms_lie_side_by_side(stack: Stack, tmp_path: Path) -> None:
    build(stack, CROSS, "-o", f"type=local,dest={tmp_path}/out", "-o", f"type=tar,dest={tmp_path}/out.tar")
    for architecture in (NATIVE, FOREIGN):
        assert (tmp_path / f"out/linux_{architecture}/made").read_text() == f"for {architecture}\n"
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert {f"linux_{NATIVE}/made", f"linux_{FOREIGN}/made"} <= {name.strip("./") for name in archive.getnames()}


def test_a_tag_takes_the_index_along_and_a_plain_build_ends_it(stack: Stack) -> None:
    build(stack, CROSS, "-t", "cross:1")
    stack.run("image", "tag", "cross:1", "other:1")
    build(stack, CROSS, "-t", "cross:1", platforms=f"linux/{NATIVE}")
    assert stack.api("/v1/images/other:1")["Id"] == stack.api("/v1/images/cross:1")["Id"]
    stack.run("image", "rm", "-f", "other:1")
    assert listed(stack, "cross:1") == {}


def test_compose_builds_all_platforms_of_a_service_and_up_the_one_that_runs(stack: Stack) -> None:
    stack.write("Dockerfile", CROSS)
    stack.compose(f"services: {{web: {{image: 'web:1', build: {{context: ., platforms: [{BOTH}]}}}}}}")
    stack.run("build")
    assert set(listed(stack, "web:1")) == {NATIVE, FOREIGN}
    stack.run("up", "--build", "-d")
    assert listed(stack, "web:1") == {}
    assert stack.api("/v1/images/web:1")["Architecture"] == NATIVE
    stack.run("down", "-t", "0")


def test_a_push_without_a_name_is_refused_before_anything_is_built(stack: Stack) -> None:
    refused = build(stack, "FROM scratch\nCOPY nothing /\n", "--push", ok=False)
    assert "tag is needed when pushing to registry" in refused.err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("type=foo,dest=x", 'exporter "foo" could not be found'),
        ("type=local", "dest is required for local exporter"),
        ("type=image,dest=x", "dest is no field of type image"),
    ],
)
def test_an_output_that_cannot_be_is_refused_by_name(stack: Stack, output: str, message: str) -> None:
    assert message in build(stack, CROSS, "-o", output, ok=False).err


def test_a_stage_starts_from_the_files_of_a_directory(stack: Stack, tmp_path: Path) -> None:
    stack.write("rootdir/bin/tool", "a tool\n")
    stack.write("rootdir/secret", "not this\n")
    stack.write("rootdir/.dockerignore", "secret\n")
    text = "FROM root AS start\nCOPY Dockerfile /\nFROM start\nENV A=b\n"
    flags = ("--build-context", f"root={stack.folder}/rootdir")
    result = build(stack, text, *flags, "-t", "ofdir:1", "-o", "type=image", "-o", f"type=local,dest={tmp_path}/out")
    assert "[context root] load from client" in result.err
    assert set(listed(stack, "ofdir:1")) == {NATIVE, FOREIGN}
    native = tmp_path / f"out/linux_{NATIVE}"
    assert sorted(path.name for path in native.iterdir()) == [".dockerignore", "Dockerfile", "bin"]
    history = stack.api("/v1/images/ofdir:1")["History"]
    assert [entry["CreatedBy"] for entry in history] == [
        "ENV A=b",
        "COPY Dockerfile / # buildkit",
        "[context root] load from client",
    ]
    again = build(stack, text, *flags, "-t", "ofdir:1")
    assert re.search(r"^#(\d+) \[context root\] load from client\n#\1 CACHED", again.err, re.MULTILINE), again.err
    stack.write("rootdir/bin/tool", "another\n")
    assert "CACHED" not in build(stack, text, *flags, platforms=f"linux/{NATIVE}").err


def test_a_cache_of_all_stages_saves_the_steps_that_the_result_has_not(
    stack: Stack, registry: kit.Registry, tmp_path: Path
) -> None:
    text = "FROM tiny:1 AS make\nRUN echo long > /made\nFROM scratch\nCOPY --from=make /made /\n"
    places = (f"type=local,mode=max,dest={tmp_path}/cache", f"type=registry,mode=max,ref={registry.host}/team/cache:1")
    native = f"linux/{NATIVE}"
    for place in places:
        build(stack, text, "-t", "cached:1", "--cache-to", place, platforms=native)
    stack.run("image", "save", "-o", str(tmp_path / "tiny.tar"), "tiny:1")
    for number, place in enumerate(places):
        stack.run("engine", "stop")
        (stack.root / "data").rename(tmp_path / f"old{number}")
        stack.run("image", "load", "-q", "-i", str(tmp_path / "tiny.tar"))
        result = build(stack, text, "--cache-from", place.replace("dest=", "src="), platforms=native)
        assert re.search(r"^#(\d+) \[make 2/2\] RUN echo long > /made\n#\1 CACHED", result.err, re.MULTILINE), (
            result.err
        )
        assert stack.run("image", "ls", "-aq").out.count("\n") <= 3
