"""`cp`: files into containers and out of them, running or not."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

SERVICES = """
    services:
      a:
        image: localhost/host
        command: sleep 1000
        init: true
        stop_grace_period: 0s
        volumes: [data:/data]
      ended: {image: localhost/host, command: "true"}
      s: {image: localhost/host, command: sleep 1000, init: true, stop_grace_period: 0s, deploy: {replicas: 2}}
    volumes: {data: {}}
"""
TREE = """
    umask 022; mkdir -p /w/sub; echo file > /w/file; chmod 640 /w/file; echo s > /w/sub/s
    ln -s file /w/link; ln -s /w/sub /w/dirlink; ln -s /nowhere /w/dangling; ln /w/file /w/hard; mkfifo /w/fifo
"""


@pytest.fixture(scope="module")
def shared(module_stack: Stack) -> Stack:
    """A stack that runs, with a file, a tree and a link beside it."""
    module_stack.compose(SERVICES)
    module_stack.run("up", "-d")
    module_stack.write("f", "hello\n")
    module_stack.write("d/sub/x", "x\n")
    os.symlink("f", module_stack.folder / "link")
    return module_stack


@pytest.fixture
def files(shared: Stack) -> Stack:
    """The same, rid of what other tests copied."""
    shared.exec("a", "sh", "-c", "rm -rf /in /w /tmp/* /abs /climbing")
    for name in ("out", "back", "g"):
        path = shared.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return shared


def listing(stack: Stack, service: str, path: str) -> list[str]:
    return sorted(stack.exec(service, "find", path, "-mindepth", "1", "-printf", "%P %y %m %U\n").lines)


def refused(stack: Stack, *arguments: str) -> str:
    result = stack.run("cp", *arguments, ok=False)
    assert result.code == 1, result
    return result.err.splitlines()[-1]


def test_what_is_there_decides_what_things_are_called_in_the_container(files: Stack) -> None:
    files.exec("a", "mkdir", "-p", "/in/there")
    for source, destination in (
        ("f", "/in/"), ("f", "/in/new"), ("f", "/in/there"), ("d", "/in/"), ("d", "/in/dd"), ("d", "/in/dd"),
        ("d/.", "/in/content"), ("link", "/in/link"), ("./f", "in/relative"),
    ):  # fmt: skip
        files.run("cp", source, f"a:{destination}")
    files.run("cp", "-L", "link", "a:/in/followed")
    assert listing(files, "a", "/in") == [
        "content d 755 0", "content/sub d 755 0", "content/sub/x f 644 0",
        "d d 755 0", "d/sub d 755 0", "d/sub/x f 644 0",
        "dd d 755 0", "dd/d d 755 0", "dd/d/sub d 755 0", "dd/d/sub/x f 644 0", "dd/sub d 755 0", "dd/sub/x f 644 0",
        "f f 644 0", "followed f 644 0", "link l 777 0", "new f 644 0", "relative f 644 0",
        "there d 755 0", "there/f f 644 0",
    ]  # fmt: skip
    assert files.exec("a", "cat", "/in/followed").out == "hello\n"


def test_what_is_there_decides_what_things_are_called_on_this_side(files: Stack) -> None:
    files.exec("a", "sh", "-c", TREE)
    out = files.folder / "out"
    out.mkdir()
    for source, destination in (
        ("/w/file", "out/"), ("/w/file", "out/new"), ("w/file", "out/relative"), ("/w", "out/"), ("/w", "out/w2"),
        ("/w/.", "out/w3"), ("/w/dirlink/", "out/through"), ("/w/link", "out/link"), ("/w/dangling", "out/"),
    ):  # fmt: skip
        files.run("cp", f"a:{source}", destination)
    files.run("cp", "-L", "a:/w/link", "out/followed")
    files.run("cp", "-L", "a:/w/dirlink", "out/tree")
    tops = "dangling followed link new relative file through tree w w2 w3"
    assert sorted(os.listdir(out)) == sorted(tops.split())
    for copy in ("w", "w2", "w3"):
        assert sorted(os.listdir(out / copy)) == ["dangling", "dirlink", "fifo", "file", "hard", "link", "sub"]
    assert os.listdir(out / "through") == os.listdir(out / "tree") == ["s"]
    assert os.readlink(out / "link") == "file"
    assert os.readlink(out / "w" / "dirlink") == "/w/sub"
    assert (out / "followed").read_text() == "file\n"
    assert (out / "new").stat().st_mode & 0o777 == 0o640
    assert (out / "w" / "file").samefile(out / "w" / "hard")
    assert (out / "new").stat().st_uid == os.getuid()


def test_progress_names_container_and_paths(files: Stack) -> None:
    name = f"{files.project}-a-1"
    copied = files.run("cp", "f", "a:/tmp/").err.splitlines()
    assert copied == [f" {name} copy f to {name}:/tmp/ Copying", f" {name} copy f to {name}:/tmp/ Copied"]
    back = files.run("cp", "a:/tmp/f", "g").err.splitlines()
    assert back == [f" {name} copy {name}:/tmp/f to g Copying", f" {name} copy {name}:/tmp/f to g Copied"]
    assert files.run("--progress", "quiet", "cp", "f", "a:/tmp/").err == ""


def test_tar_streams_on_standard_streams(files: Stack) -> None:
    files.exec("a", "sh", "-c", TREE)
    stream = _bytes(files, "cp", "a:/w", "-")
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        names = sorted(archive.getnames())
        owner = archive.getmember("w/file").mode
    assert names == ["w", "w/dangling", "w/dirlink", "w/fifo", "w/file", "w/hard", "w/link", "w/sub", "w/sub/s"]
    assert owner == 0o640
    files.exec("a", "mkdir", "/in")
    _bytes(files, "cp", "-", "a:/in", stdin=stream)
    assert files.exec("a", "cat", "/in/w/sub/s").out == "s\n"
    missing = refused(files, "-", "a:/nowhere")
    assert missing.startswith('destination "')
    assert missing.endswith(':/nowhere" must be a directory')


def test_containers_that_do_not_run_are_copied_to_and_from(files: Stack) -> None:
    poll(lambda: files.states()["ended-1"] == "exited")
    files.run("cp", "d", "ended:/srv/")
    files.run("cp", "ended:/srv/d", "back")
    assert (files.folder / "back/sub/x").read_text() == "x\n"
    assert "could not find the file /nowhere" in refused(files, "ended:/nowhere", "x").lower()
    files.run("stop", "-t", "0", "a")
    files.run("cp", "f", "a:/data/in-the-volume")
    files.run("cp", "f", "a:/etc/in-the-root")
    files.run("start", "a")
    assert files.exec("a", "cat", "/data/in-the-volume", "/etc/in-the-root").out == "hello\nhello\n"


def test_every_replica_gets_it_unless_one_is_chosen(files: Stack) -> None:
    files.run("cp", "f", "s:/tmp/all")
    files.run("cp", "--index", "2", "f", "s:/tmp/second")
    assert [files.exec(f"--index={index}", "s", "ls", "/tmp").out.split() for index in (1, 2)] == [
        ["all"],
        ["all", "second"],
    ]
    assert refused(files, "--index", "3", "f", "s:/tmp/") == 'service "s" is not running container #3'


def test_the_archive_flag_makes_files_the_users(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, user: nobody, stop_grace_period: 0s}
    """)
    stack.run("up", "-d")
    path = stack.write("f", "hello\n")
    os.chown(path, 1234, 1235)
    stack.run("cp", "f", "a:/tmp/kept")
    stack.run("cp", "-a", "f", "a:/tmp/given")
    kept, given = stack.exec("a", "stat", "-c", "%u:%g", "/tmp/kept", "/tmp/given").lines
    assert kept == "1234:1235"
    assert given == stack.exec("a", "sh", "-c", "echo $(id -u):$(id -g)").out.strip()


def test_links_in_the_container_lead_nowhere_but_into_it(files: Stack, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    depth = "../" * 12
    files.exec("a", "sh", "-c", f"ln -s {outside} /abs; ln -s {depth}{outside} /climbing; mkdir -p {outside}")
    files.run("cp", "f", "a:/abs/one")
    files.run("cp", "f", "a:/climbing/two")
    assert os.listdir(outside) == []
    assert files.exec("a", "ls", str(outside)).out.split() == ["one", "two"]
    files.run("cp", "a:/abs/one", "back")
    assert (files.folder / "back").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("f a:/no/such/dir/", "no such directory"),
        ("f a:", "no such directory"),
        ("d a:/etc/passwd", "cannot copy directory"),
        ("f nosuch:/tmp", 'no container found for service "nosuch"'),
        ("a:/tmp s:/tmp", "copying between services is not supported"),
        ("f g", "unknown copy direction"),
        ("a:/etc f", "cannot copy directory"),
        ("a:/etc/passwd nodir/", "no such directory"),
        ("a:/etc/passwd nodir/x", "does not exist"),
        ("a:/nowhere .", "could not find the file /nowhere in container"),
        ("f a:/no/such/dir", "could not find the file /no/such in container"),
        ("a:/etc/passwd/ .", "/etc/passwd/: not a directory"),
        ("nosuch a:/tmp", "nosuch: no such file or directory"),
        ("f/ a:/tmp", "not a directory"),
        ("f a:/dev/null", "must be a directory or a regular file"),
    ],
)
def test_what_cannot_be_copied_is_refused(shared: Stack, arguments: str, message: str) -> None:
    assert message.lower() in refused(shared, *arguments.split()).lower()


def test_directories_and_files_do_not_replace_each_other(files: Stack) -> None:
    files.exec("a", "sh", "-c", "mkdir -p /in/f/full /in/other; echo > /in/other/sub")
    assert "cannot overwrite directory" in refused(files, "f", "a:/in")
    assert "cannot overwrite non-directory" in refused(files, "d/.", "a:/in/other")


def _bytes(stack: Stack, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        [*stack.program, *arguments],
        cwd=stack.folder,
        env=stack.environ(),
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
