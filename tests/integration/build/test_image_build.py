"""Builds from Dockerfiles on this machine's own programs: steps, cache, stages, mounts, failures, what becomes of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import machine
from tests.kit.rootfs import tiny_rootfs
from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from tests.kit.stack import Result

pytestmark = pytest.mark.root


def build(stack: Stack, dockerfile: str, *flags: str, ok: bool = True, **options: str) -> Result:
    """`image build` of the project's folder with this Dockerfile."""
    stack.write("Dockerfile", dockerfile)
    return stack.run("image", "build", "--progress", "plain", *flags, ".", ok=ok, **options)  # type: ignore[arg-type]


def steps(result: Result) -> dict[str, str]:
    """Instruction -> CACHED, DONE or ERROR, of the numbered steps of a plain log."""
    names = dict(re.findall(r"^#(\d+) \[(?:\S+ +)?\d+/\d+\] (.*)$", result.err, re.MULTILINE))
    ends = dict(re.findall(r"^#(\d+) (CACHED|DONE|ERROR|CANCELED)", result.err, re.MULTILINE))
    return {name: ends.get(number, "") for number, name in names.items()}


def ids(result: Result) -> list[str]:
    return re.findall(r"writing image (sha256:\w+)", result.err)


def image(stack: Stack, reference: str) -> dict[str, object]:
    found: dict[str, object] = stack.api(f"/v1/images/{reference}")
    return found


def files(stack: Stack, tmp_path: Path, *flags: str) -> dict[str, tarfile.TarInfo]:
    """The result of the last build as an archive's entries by name."""
    target = tmp_path / "out.tar"
    stack.run("image", "build", "--progress", "quiet", "-o", f"type=tar,dest={target}", *flags, ".")
    with tarfile.open(target) as archive:
        return {entry.name.strip("./"): entry for entry in archive}


def test_a_built_image_runs_with_what_its_dockerfile_says(module_stack: Stack) -> None:
    stack = module_stack
    stack.write("app/greeting", "hello from a file\n")
    build(
        stack,
        """
        FROM localhost/host
        ENV WHO=world
        WORKDIR /srv/app
        COPY app/ .
        RUN echo "built by $(id -u)" > built
        LABEL tier="front"
        CMD ["sh", "-c", "cat greeting built; echo $WHO; pwd"]
        """,
        *("-t", "built:1"),
    )
    stack.compose("services: {app: {image: 'built:1'}}")
    out = stack.run("up", "--no-color", "--no-log-prefix").out
    stack.run("down")
    assert [line for line in out.splitlines() if not line.startswith(("Attaching", "app-1 exited"))] == [
        *("hello from a file", "built by 0", "world", "/srv/app")
    ]
    config = image(stack, "built:1")["Config"]
    assert isinstance(config, dict)
    assert config["Labels"]["tier"] == "front"
    assert config["WorkingDir"] == "/srv/app"


def test_an_unchanged_build_runs_nothing_and_gives_the_same_image(module_stack: Stack) -> None:
    text = "FROM localhost/host\nCOPY data /data\nRUN cat /data/one > /copy\n"
    module_stack.write("data/one", "1\n")
    first = build(module_stack, text)
    os.utime(module_stack.folder / "data" / "one")
    again = build(module_stack, text)
    assert set(steps(again).values()) == {"CACHED"}
    assert ids(first) == ids(again)


def test_a_changed_file_reruns_only_what_comes_after_it(module_stack: Stack) -> None:
    text = "FROM localhost/host\nRUN echo early\nCOPY data2/one /one\nRUN cat /one\n"
    module_stack.write("data2/one", "1\n")
    module_stack.write("data2/other", "1\n")
    build(module_stack, text)
    module_stack.write("data2/other", "changed, but nobody copies it\n")
    assert set(steps(build(module_stack, text)).values()) == {"CACHED"}
    module_stack.write("data2/one", "changed\n")
    found = steps(build(module_stack, text))
    assert found["RUN echo early"] == "CACHED"
    assert found["COPY data2/one /one"] == found["RUN cat /one"] == "DONE"


def test_a_build_argument_counts_where_it_is_declared(module_stack: Stack) -> None:
    text = "FROM localhost/host\nRUN echo before\nARG WHAT=none\nRUN echo got $WHAT\n"
    build(module_stack, text, "--build-arg", "WHAT=a")
    found = build(module_stack, text, "--build-arg", "WHAT=b")
    assert "got b" in found.err
    assert steps(found)["RUN echo before"] == "CACHED"


def test_no_cache_runs_everything_again(module_stack: Stack) -> None:
    text = "FROM localhost/host\nRUN echo always\n"
    build(module_stack, text)
    assert steps(build(module_stack, text, "--no-cache"))["RUN echo always"] == "DONE"


def test_a_failing_command_shows_its_output_its_line_and_its_exit_code(module_stack: Stack) -> None:
    done = build(module_stack, "FROM localhost/host\nRUN echo fine\nRUN echo about to fail; exit 7\n", ok=False)
    assert done.code == 1
    tail = re.sub(r"\n[0-9.]+ about", "\nTIME about", done.err[done.err.index("------\n") :])
    assert tail == (
        "------\n > [3/3] RUN echo about to fail; exit 7:\nTIME about to fail\n------\n"
        "Dockerfile:3\n--------------------\n"
        "   1 |     FROM localhost/host\n   2 |     RUN echo fine\n   3 | >>> RUN echo about to fail; exit 7\n   4 |     \n"
        "--------------------\n"
        'ERROR: failed to solve: process "/bin/sh -c echo about to fail; exit 7" did not complete successfully: '
        "exit code: 7\n"
    )
    repeated = build(module_stack, "FROM localhost/host\nRUN echo fine\nRUN echo works now\n")
    assert steps(repeated)["RUN echo fine"] == "CACHED"


def test_a_missing_source_is_named_with_what_is_near(module_stack: Stack) -> None:
    module_stack.write("near/settings.json", "{}")
    done = build(module_stack, "FROM localhost/host\nCOPY near/setings.json /\n", ok=False)
    assert done.code == 1
    assert '"/near/setings.json": not found (did you mean /near/settings.json?)' in done.err
    assert "   2 | >>> COPY near/setings.json /" in done.err


def test_a_source_outside_of_the_context_is_not_found(module_stack: Stack) -> None:
    module_stack.write("out/Dockerfile", "FROM scratch\nCOPY ../Dockerfile link /\n")
    link = module_stack.folder / "out" / "link"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    done = module_stack.run("image", "build", "out", ok=False)
    assert done.code == 1
    assert "not found" in done.err


def test_only_the_stages_of_the_target_are_built(module_stack: Stack) -> None:
    text = """
        FROM localhost/host AS tools
        RUN echo tools > /tool
        FROM localhost/host AS unused
        RUN exit 1
        FROM scratch AS final
        COPY --from=tools /tool /
        """
    found = build(module_stack, text, "-t", "staged")
    assert "RUN exit 1" not in found.err
    assert image(module_stack, "staged")["Size"] == len("tools\n")
    failed = build(module_stack, text, "--target", "unused", ok=False)
    assert failed.code == 1


def test_stages_that_need_each_other_not_are_built_side_by_side(module_stack: Stack) -> None:
    wait = "for i in $(seq 100); do test -e /c/{0} && exit 0; sleep 0.1; done; exit 1"
    text = "".join(
        f"FROM localhost/host AS {mine}\nRUN --mount=type=cache,id=meeting,target=/c "
        f"touch /c/{mine}; {wait.format(other)}\n"
        for mine, other in (("one", "two"), ("two", "one"))
    )
    build(module_stack, f"{text}FROM scratch\nCOPY --from=one /etc/hosts /1\nCOPY --from=two /etc/hosts /2\n")


def test_secrets_and_caches_leave_nothing_in_the_image(module_stack: Stack, tmp_path: Path) -> None:
    (module_stack.root / "secret").write_text("s3cret")
    module_stack.environment["TOKEN"] = "t0ken"
    text = """
        FROM localhost/host AS made
        RUN --mount=type=secret,id=file --mount=type=secret,id=TOKEN,env=GIVEN --mount=type=cache,target=/var/cache/x \
            --mount=type=tmpfs,target=/scratch/here \
            cat /run/secrets/file | tr a-z A-Z > /seen && echo "$GIVEN" | wc -c >> /seen && touch /var/cache/x/kept /scratch/here/y
        FROM scratch
        COPY --from=made /seen /run /scratc[h] /var/cache /all/
        """
    build(module_stack, text, "--secret", f"id=file,src={module_stack.root}/secret", "--secret", "id=TOKEN")
    found = files(module_stack, tmp_path, "--secret", f"id=file,src={module_stack.root}/secret", "--secret", "id=TOKEN")
    assert found["all/seen"].size == len("S3CRET") + len("6\n")
    assert not [name for name in found if "secret" in name or "kept" in name or name.endswith(("/x", "/here"))]


def test_a_build_container_has_a_network_with_a_way_out_and_the_hosts_it_was_given(module_stack: Stack) -> None:
    text = "FROM localhost/host\nRUN cat /etc/hosts; cat /proc/net/route; hostname\n"
    done = build(module_stack, text, "--no-cache", "--add-host", "friend:10.1.2.3")
    assert re.search(r"10\.1\.2\.3\s+friend", done.err)
    assert re.search(r"eth0\s+00000000", done.err)
    assert "buildkitsandbox" in done.err
    alone = build(module_stack, text, "--no-cache", "--network", "none")
    assert "eth0" not in alone.err


def test_an_archive_or_a_dockerfile_may_come_on_standard_input(module_stack: Stack, tmp_path: Path) -> None:
    done = module_stack.run("image", "build", "-t", "piped", "-", stdin="FROM localhost/host\nRUN echo alone\n")
    assert "alone" in done.err
    assert image(module_stack, "piped")


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:xz"])
def test_an_archive_that_is_piped_in_is_the_context(module_stack: Stack, tmp_path: Path, kind: str) -> None:
    module_stack.write("piped/other/Containerfile", "FROM scratch\nCOPY seed /\n")
    module_stack.write("piped/seed", f"{kind}\n")
    with tarfile.open(tmp_path / "context", kind) as archive:  # type: ignore[call-overload]
        archive.add(module_stack.folder / "piped", ".")
    command = [*module_stack.program, "image", "build", "-t", "piped:tar", "-f", "other/Containerfile", "-"]
    with open(tmp_path / "context", "rb") as stdin:
        subprocess.run(
            command, stdin=stdin, env=module_stack.environ(), cwd=tmp_path, check=True, capture_output=True, timeout=60
        )
    assert image(module_stack, "piped:tar")["Size"] == len(f"{kind}\n")


def test_onbuild_triggers_run_in_the_build_that_starts_from_the_image(module_stack: Stack, tmp_path: Path) -> None:
    build(module_stack, "FROM localhost/host\nONBUILD COPY trig /trig\nONBUILD RUN cat /trig\n", "-t", "parent:1")
    module_stack.write("trig", "triggered\n")
    done = build(module_stack, "FROM parent:1\nRUN echo own\n", "-t", "child:1")
    assert "triggered" in done.err
    config = image(module_stack, "child:1")["Config"]
    assert isinstance(config, dict)
    assert not config.get("OnBuild")


def test_the_same_epoch_gives_the_same_image_from_nothing(module_stack: Stack) -> None:
    text = "FROM scratch\nCOPY stamped /\nWORKDIR /made\n"
    module_stack.write("stamped", "x\n")
    flags = ("--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000000")
    first = ids(build(module_stack, text, *flags))
    time.sleep(1.1)  # layers know whole seconds
    os.utime(module_stack.folder / "stamped")
    assert ids(build(module_stack, text, *flags)) == first


def test_quiet_prints_the_id_alone_and_iidfile_keeps_it(module_stack: Stack, tmp_path: Path) -> None:
    module_stack.write("Dockerfile", "FROM localhost/host\nRUN echo noise\n")
    done = module_stack.run("image", "build", "-q", "--iidfile", str(tmp_path / "id"), ".")
    assert done.err == ""
    assert done.out.strip() == (tmp_path / "id").read_text()


def test_an_interrupted_build_leaves_no_process_and_keeps_what_was_finished(stack: Stack) -> None:
    stack.write("Dockerfile", "FROM localhost/host\nRUN echo kept\nRUN sleep 1000\n")
    with stack.start("image", "build", "--progress", "plain", ".") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            next(line for line in process.stderr if "RUN sleep 1000" in line)
            time.sleep(0.3)
        finally:
            process.terminate()
    poll(lambda: not os.listdir(f"{stack.root}/data/images/tmp"), 15, "the build has put its things away")
    assert not [
        line for line in machine.leftovers(stack.engine_id(), str(stack.root)).get("processes", []) if "sleep" in line
    ]
    stack.write("Dockerfile", "FROM localhost/host\nRUN echo kept\n")
    assert "CACHED" in stack.run("image", "build", "--progress", "plain", ".").err.split("RUN echo kept")[1]


def test_labels_and_tags_of_the_command_line_are_on_the_image(module_stack: Stack) -> None:
    build(module_stack, "FROM scratch\nLABEL a=file\n", "--label", "b=line", "-t", "two:1", "-t", "two:2")
    config = image(module_stack, "two:2")["Config"]
    assert isinstance(config, dict)
    assert config["Labels"] == {"a": "file", "b": "line"}
    assert image(module_stack, "two:1")["Id"] == image(module_stack, "two:2")["Id"]
    assert json.dumps(config)


def test_a_cache_directory_and_an_inline_cache_serve_a_store_that_has_never_built(stack: Stack, tmp_path: Path) -> None:
    text = "FROM base:1\nCOPY seed /seed\nRUN cat /seed > /grown\n"
    stack.run("image", "import", "-q", str(tiny_rootfs()), "base:1")
    stack.run("image", "save", "-o", str(tmp_path / "base.tar"), "base:1")
    stack.write("seed", "s\n")
    build(stack, text, "-t", "plain", "--cache-to", f"type=local,dest={tmp_path}/cache")
    build(stack, text, "-t", "inline", "--cache-to", "type=inline")
    stack.run("image", "save", "-o", str(tmp_path / "inline.tar"), "inline")
    stack.run("engine", "stop")
    (stack.root / "data").rename(tmp_path / "old")
    stack.run("image", "load", "-q", "-i", str(tmp_path / "base.tar"))
    assert steps(build(stack, text))["RUN cat /seed > /grown"] == "DONE"
    stack.run("engine", "stop")
    (stack.root / "data").rename(tmp_path / "old2")
    stack.run("image", "load", "-q", "-i", str(tmp_path / "base.tar"))
    found = build(stack, text, "--cache-from", f"type=local,src={tmp_path}/cache")
    assert set(steps(found).values()) == {"CACHED"}


def test_an_oci_layout_is_a_context_that_a_stage_can_start_from(stack: Stack, tmp_path: Path) -> None:
    stack.write("seed", "s\n")
    build(stack, "FROM scratch\nCOPY seed /inside\n", "-t", "lay:1", "--cache-to", f"type=local,dest={tmp_path}/layout")
    text = "FROM below\nCOPY --from=below /inside /twice\n"
    build(stack, text, "-t", "above", "--build-context", f"below=oci-layout://{tmp_path}/layout")
    assert image(stack, "above")["Size"] == 2 * len("s\n")


def test_a_step_is_not_remembered_under_what_its_files_were_before_they_changed(stack: Stack) -> None:
    stack.write("data/one", "1\n")
    build(stack, "FROM scratch\nCOPY data /\n", "-t", "one")
    stack.write("data/one", "22\n")
    build(stack, "FROM scratch\nCOPY data /\n", "-t", "two")
    assert (image(stack, "one")["Size"], image(stack, "two")["Size"]) == (2, 3)


def test_many_files_of_which_one_changed_are_all_in_the_new_image(stack: Stack, tmp_path: Path) -> None:
    for number in range(300):
        stack.write(f"many/{number % 7}/{number}", f"{number}\n")
    text = "FROM scratch\nCOPY many /many\n"
    build(stack, text, "-t", "before")
    stack.write("many/3/3", "changed\n")
    build(stack, text, "-t", "after")
    for name, size in (("before", 2), ("after", 8)):
        stack.run("image", "export", "-o", str(tmp_path / name), f"{name}:latest")
        with tarfile.open(tmp_path / name) as archive:
            found = {member.name.removeprefix("./"): member for member in archive if member.isreg()}
        assert len(found) == 300
        assert found["many/3/3"].size == size


def test_large_files_come_from_another_file_system(module_stack: Stack, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        (Path(elsewhere) / "large").write_bytes(b"x" * 300_000)
        (Path(elsewhere) / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
        module_stack.run("image", "build", "-q", "-t", "large:1", elsewhere)
    assert image(module_stack, "large:1")["Size"] == 300_000


def test_a_full_disk_is_told_leaves_no_image_and_is_forgotten(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "pycompose-test", str(small)], check=True)
    try:
        stack = Stack(root=small / "r", project="full")
        done = build(
            stack, "FROM localhost/host\nRUN echo ok > /ok\nRUN head -c 40m /dev/zero > /big\n", "-t", "x", ok=False
        )
        assert "o space left on device" in done.err
        assert "   3 | >>> RUN head" in done.err
        assert [row["RepoTags"] for row in stack.api("/v1/images")] == [["localhost/host:latest"]]
        assert not os.listdir(small / "r" / "data" / "images" / "tmp")
        again = build(stack, "FROM localhost/host\nRUN echo ok > /ok\nRUN head -c 1m /dev/zero > /big\n", "-t", "x")
        assert steps(again)["RUN echo ok > /ok"] == "CACHED"
        stack.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
