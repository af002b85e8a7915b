"""The image commands against an engine: archives in and out, names, removal under containers, disk usage."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.kit.rootfs import tiny_rootfs, tiny_tar
from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


@pytest.fixture
def images(module_stack: Stack) -> Iterator[Stack]:
    """The engine with the image `app:1` (a shell that waits) and nothing else."""
    module_stack.run(
        "image", "import", "-q", "-c", 'CMD ["/bin/sleep", "1000"]', "-c", "LABEL role=app", str(tiny_rootfs()), "app:1"
    )
    yield module_stack
    module_stack.run("down", "-v", "-t", "0", "--remove-orphans", ok=False)
    module_stack.run("image", "prune", "-a", "-f")
    assert tags(module_stack) == ["localhost/host:latest"]


def tags(stack: Stack) -> list[str]:
    return sorted(tag for image in stack.api("/v1/images") for tag in image["RepoTags"] or ["<none>"])


def image_id(stack: Stack, name: str) -> str:
    return stack.run("image", "inspect", "-f", "{{.Id}}", name).out.strip()


def layer_directories(stack: Stack) -> list[str]:
    return os.listdir(stack.root / "data" / "images" / "layers")


def test_an_archive_goes_out_by_a_file_and_a_pipe_and_comes_back(images: Stack) -> None:
    identity = image_id(images, "app:1")
    assert images.run("image", "tag", "app:1", "registry.example/app:2").out == ""
    images.run("image", "save", "-o", "out.tar", "app:1", "registry.example/app:2")
    archive = images.folder / "out.tar"
    assert archive.stat().st_mode & 0o777 == 0o600
    assert images.run("image", "rm", "app:1", "registry.example/app:2").lines[-2] == f"Deleted: {identity}"
    loaded = images.run("image", "load", "-i", "out.tar")
    assert loaded.lines == ["Loaded image: app:1", "Loaded image: registry.example/app:2"]
    assert image_id(images, "app:1") == identity
    command = f"{' '.join(images.program)} image save app:1 | gzip | {' '.join(images.program)} image load -q"
    piped = subprocess.run(
        ["sh", "-c", command], cwd=images.folder, env=images.environ(), capture_output=True, text=True, check=True
    )
    assert piped.stdout == "Loaded image: app:1\n"
    images.run("image", "save", "-o", "by-id.tar", identity)
    assert images.run("image", "load", "-i", "by-id.tar").out == f"Loaded image ID: {identity}\n"


def test_an_image_that_was_loaded_runs(images: Stack) -> None:
    images.run("image", "save", "-o", "out.tar", "app:1")
    images.run("image", "rm", "app:1")
    with (images.folder / "out.tar").open("rb") as plain, gzip.open(images.folder / "out.tar.gz", "wb", 1) as packed:
        shutil.copyfileobj(plain, packed)
    images.run("image", "load", "-i", "out.tar.gz")
    images.compose("services: {a: {image: 'app:1', init: true}}")
    images.run("up", "-d")
    assert images.exec("a", "/bin/echo", "here").out == "here\n"


def test_an_archive_may_come_from_a_fifo(images: Stack) -> None:
    images.run("image", "save", "-o", "out.tar", "app:1")
    fifo = images.folder / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes((images.folder / "out.tar").read_bytes()))
    writer.start()
    assert images.run("image", "load", "-i", "fifo").out == "Loaded image: app:1\n"
    writer.join(10)


def test_a_root_file_system_may_come_from_a_pipe(images: Stack) -> None:
    tiny_tar(images.folder / "rootfs.tar.gz", mode="w:gz")
    command = f"cat rootfs.tar.gz | {' '.join(images.program)} image import -q -c 'LABEL role=piped' - piped:1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=images.folder, env=images.environ(), capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == (image_id(images, "piped:1"), "")
    nameless = images.run("image", "import", "rootfs.tar.gz").out.strip()
    assert images.run("image", "inspect", "-f", "{{.RepoTags}} {{.Comment}}", nameless).out == (
        "[] imported from rootfs.tar.gz\n"
    )


def test_what_is_no_archive_of_images_is_refused_and_leaves_nothing(images: Stack) -> None:
    before = (tags(images), sorted(layer_directories(images)))
    images.run("image", "save", "-o", "out.tar", "app:1")
    (images.folder / "cut.tar").write_bytes((images.folder / "out.tar").read_bytes()[:100_000])
    (images.folder / "junk").write_text("no archive\n" * 1000)
    for name, words in (
        ("nosuch.tar", "open nosuch.tar: no such file or directory"),
        ("cut.tar", "archive: unexpected end of data"),
        ("junk", "archive: "),
    ):
        failed = images.run("image", "load", "-i", name, ok=False)
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.startswith(words)
        assert len(failed.err.splitlines()) == 1
    assert (tags(images), sorted(layer_directories(images))) == before


def test_a_save_that_fails_leaves_no_file(images: Stack) -> None:
    for arguments, words in (
        (("app:1", "nosuch:3"), "no such image: nosuch:3\n"),
        (("localhost/host",), "cannot be saved\n"),
    ):
        failed = images.run("image", "save", "-o", "half.tar", *arguments, ok=False)
        assert failed.code == 1
        assert failed.err.endswith(words)
    assert not [name for name in os.listdir(images.folder) if "half" in name or name.startswith(".pycompose")]
    assert "directory" in images.run("image", "save", "-o", "no/where.tar", "app:1", ok=False).err


def test_a_client_that_leaves_in_the_middle_leaves_no_job_behind(images: Stack) -> None:
    loading = subprocess.Popen(
        [*images.program, "image", "load"], cwd=images.folder, env=images.environ(), stdin=subprocess.PIPE
    )
    assert loading.stdin is not None
    images.run("image", "save", "-o", "out.tar", "app:1")
    loading.stdin.write((images.folder / "out.tar").read_bytes()[:2_000_000])
    loading.stdin.flush()
    work = images.root / "data" / "images" / "tmp"
    poll(lambda: list(work.iterdir()), what="the worker reads")
    loading.kill()
    loading.wait(10)
    loading.stdin.close()
    poll(lambda: not list(work.iterdir()), what="the worker is gone")
    assert images.run("image", "load", "-q", "-i", "out.tar").out == "Loaded image: app:1\n"


def test_a_name_that_moves_to_a_loaded_image_is_told(images: Stack) -> None:
    images.run("image", "save", "-o", "out.tar", "app:1")
    images.run("image", "import", "-q", "-c", "LABEL role=other", str(tiny_rootfs()), "app:1")
    other = image_id(images, "app:1")
    assert images.run("image", "load", "-i", "out.tar").lines == [
        f"The image app:1 already exists, renaming the old one with ID {other} to empty string",
        "Loaded image: app:1",
    ]
    assert "<none>" in images.run("image", "ls").out


def test_inspect_shows_those_there_are_and_names_those_missing(images: Stack) -> None:
    identity = image_id(images, "app:1")
    shown = images.run("image", "inspect", "app:1", "nosuch", ok=False)
    assert (shown.code, shown.err) == (1, "no such image: nosuch\n")
    [found] = json.loads(shown.out)
    assert (found["Id"], found["RepoTags"], found["Config"]["Cmd"]) == (identity, ["app:1"], ["/bin/sleep", "1000"])
    assert found["RootFS"]["Layers"][0].startswith("sha256:")
    template = (
        "{{.Os}} {{index .RepoTags 0}}{{range $k, $v := .Config.Labels}} {{$k}}={{$v}}{{end}} {{json .Config.Env}}"
    )
    assert images.run("image", "inspect", "-f", template, "app:1").out == "linux app:1 role=app null\n"
    assert images.run("image", "inspect", "-f", "{{", "app:1", ok=False).code == 64


def test_a_running_container_keeps_its_image_and_a_stopped_one_what_it_needs(images: Stack) -> None:
    identity = image_id(images, "app:1")
    images.compose("services: {a: {image: 'app:1', init: true}}")
    images.run("up", "-d")
    name = f"{images.project}-a-1"
    refused = images.run("image", "rm", "app:1", ok=False)
    assert (refused.code, refused.out) == (1, "")
    assert f"(must be forced): container {name} is using it" in refused.err
    refused = images.run("image", "rm", "-f", identity, ok=False)
    assert f"(cannot be forced): is being used by running container {name}" in refused.err
    images.run("stop", "-t", "0")
    refused = images.run("image", "rm", identity[7:19], ok=False)
    assert f"(must be forced): is being used by stopped container {name}" in refused.err
    assert images.run("image", "rm", "-f", "app:1").lines == ["Untagged: app:1", f"Deleted: {identity}"]
    assert tags(images) == ["localhost/host:latest"]
    images.run("engine", "stop")
    images.run("start")
    assert images.exec("a", "/bin/echo", "still here").out == "still here\n"
    images.run("down", "-t", "0")
    assert not [layer for layer in layer_directories(images) if len(layer) == 64]


def test_removal_goes_on_after_a_name_that_is_not_there(images: Stack) -> None:
    images.run("image", "tag", "app:1", "app:2")
    removed = images.run("image", "rm", "nosuch", "app:2", "app:2", ok=False)
    assert (removed.code, removed.out) == (1, "Untagged: app:2\n")
    assert removed.err == "no such image: nosuch:latest\nno such image: app:2\n"
    assert images.run("image", "rm", "-f", "nosuch").code == 0
    shown = images.run("--dry-run", "image", "rm", "app:1").out
    assert "RemoveImage" in shown
    assert "app:1" in tags(images)


def test_prune_asks_and_takes_only_what_is_unused_and_matches(images: Stack) -> None:
    identity = image_id(images, "app:1")
    images.run("image", "import", "-q", "-c", "CMD /bin/true", "-c", "LABEL role=new", str(tiny_rootfs()), "app:1")
    asked = images.run("image", "prune", stdin="n\n")
    assert asked.out == "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] "
    for filter in ("label=role=other", "label!=role=app", "until=24h"):
        assert images.run("image", "prune", "-f", "--filter", filter).out == "Total reclaimed space: 0B\n"
    pruned = images.run("image", "prune", "--filter", "label=role=app", "--filter", "until=0s", stdin="y\n")
    # the new image has the same layer, so there is nothing to gain
    assert pruned.lines[1:] == [
        "Are you sure you want to continue? [y/N] Deleted Images:",
        f"deleted: {identity}",
        "",
        "Total reclaimed space: 0B",
    ]
    images.compose("services: {a: {image: 'app:1', init: true}}")
    images.run("create")
    assert images.run("image", "prune", "-a", "-f").out == "Total reclaimed space: 0B\n"
    images.run("down")
    lines = images.run("image", "prune", "-a", "-f").lines
    assert lines[:2] == ["Deleted Images:", "untagged: app:1"]
    assert lines[-1].endswith("MB")
    for filter, code, words in (
        ("nope", 125, "bad format of filter"),
        ("foo=bar", 1, "invalid filter 'foo'"),
        ("until=x", 1, 'failed to parse value as time or duration: "x"'),
    ):
        failed = images.run("image", "prune", "-f", "--filter", filter, ok=False)
        assert failed.code == code
        assert words in failed.err


def test_down_takes_a_projects_images_along_where_asked_and_leaves_those_in_use(images: Stack) -> None:
    images.run("image", "tag", "app:1", "app:2")
    images.compose("services: {a: {image: 'app:1', init: true}, b: {image: 'app:2', init: true}}")
    images.run("up", "-d")
    assert "Image app:2  Removed" in images.run("down", "-t", "0", "--rmi", "all").err
    assert tags(images) == ["localhost/host:latest"]


def test_a_reader_that_leaves_ends_a_save(images: Stack) -> None:
    command = f"{' '.join(images.program)} image save app:1 | head -c 1000 | wc -c"
    done = subprocess.run(
        ["sh", "-c", command], cwd=images.folder, env=images.environ(), capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("1000", "")
    assert images.run("image", "save", "-o", "out.tar", "app:1").code == 0


def test_disk_usage_counts_layers_once_and_what_containers_and_volumes_hold(images: Stack) -> None:
    images.run("image", "import", "-q", "-c", "LABEL role=other", str(tiny_rootfs()), "other:1")
    images.compose("""
        services:
          a:
            image: app:1
            init: true
            command: ["/bin/sh", "-c", "echo hello > /written; echo bytes > /data/x; exec /bin/sleep 1000"]
            volumes: [data:/data]
          b: {image: "app:1", command: [/bin/true]}
        volumes: {data: {}}
    """)
    images.run("up", "-d")

    def usage() -> dict[str, dict[str, str]]:
        lines = images.run("engine", "df", "--format", "json").lines
        return {row["Type"]: row for row in map(json.loads, lines)}

    found = poll(lambda: found if (found := usage())["Local Volumes"]["Size"] == "6B" else None)
    size = found["Images"]["Size"]
    assert found["Images"] == {
        "Active": "1", "Reclaimable": f"{size} (100%)", "Size": size, "TotalCount": "3", "Type": "Images"
    }  # fmt: skip
    assert (found["Containers"]["TotalCount"], found["Containers"]["Active"]) == ("2", "1")
    assert found["Containers"]["Size"] == "6B"
    assert found["Local Volumes"]["Reclaimable"] == "0B (0%)"
    whole = json.loads(images.run("engine", "df", "-v", "--format", "json").out)
    [app] = [each for each in whole["Images"] if each["Repository"] == "app"]
    assert (app["SharedSize"], app["UniqueSize"], app["Containers"]) == (size, "0B", "2")
    assert {each["Names"]: each["Size"] for each in whole["Containers"]} == {
        f"{images.project}-a-1": "6B", f"{images.project}-b-1": "0B"
    }  # fmt: skip
    assert "Local Volumes space usage:" in images.run("engine", "df", "-v").out
