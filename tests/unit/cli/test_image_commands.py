"""Image commands against a fake engine: what is asked of it and what is printed."""

from __future__ import annotations

import json
import os
import pty
import time
from typing import Any

import pytest

from compose.cli import app
from compose.cli.console import Console
from compose.errors import ComposeError
from runtime.wire import frames

UPGRADED = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: pycompose-frames\r\n\r\n"
A, B, C = ("sha256:" + digit * 64 for digit in "abc")


def image(identity: str, *tags: str, created: str = "2026-01-02T03:04:05Z", **other: Any) -> dict[str, Any]:
    return {"Id": identity, "RepoTags": list(tags), "RepoDigests": [], "Created": created, "Size": 21_500_000, "Labels": {}, **other}  # fmt: skip


@pytest.fixture
def images(engine) -> list[dict[str, Any]]:
    found = [
        image(A, "app:1", "app:2", "registry.example/team/app:1", Labels={"role": "app"}),
        image(B, created="2026-03-01T00:00:00.5+01:00"),
        image(C, "db:1", created="2025-01-01T00:00:00Z", RepoDigests=[f"db@{A}"]),
    ]
    engine.routes["GET /v1/images"] = found
    engine.routes["GET /v1/images/app%3A1"] = found[0]
    return found


def rows(text: str) -> list[list[str]]:
    return [[line.split()[0], line.split()[1], line.split()[2][:3]] for line in text.splitlines()[1:]]


def test_images_are_listed_newest_first_a_row_for_each_name(pycompose, images) -> None:
    out = pycompose("image", "ls").out
    assert out.splitlines()[0].split("  ")[0] == "REPOSITORY"
    assert rows(out) == [
        ["<none>", "<none>", "bbb"],
        ["app", "1", "aaa"],
        ["app", "2", "aaa"],
        ["registry.example/team/app", "1", "aaa"],
        ["db", "1", "ccc"],
    ]
    assert out.splitlines()[2].endswith("   21.5MB")
    assert pycompose("image", "ls", "-q", "db").out == f"{'c' * 12}\n"
    assert pycompose("image", "ls", "-q", "--no-trunc", "db").out == f"{C}\n"
    digests = [line.split()[2] for line in pycompose("image", "ls", "--digests").out.splitlines()]
    assert digests == ["DIGEST", "<none>", "<none>", "<none>", "<none>", A]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("app",), ["app:1", "app:2"]),
        (("app:2",), ["app:2"]),
        (("*",), ["app:1", "app:2", "db:1"]),
        (("registry.example/*/app",), ["registry.example/team/app:1"]),
        (("nosuch",), []),
        (("-f", "dangling=true"), ["<none>:<none>"]),
        (("-f", "dangling=false", "-f", "label=role"), ["app:1", "app:2", "registry.example/team/app:1"]),
        (("-f", "label=role=db"), []),
        (("-f", "since=app:1"), ["<none>:<none>"]),
        (("-f", "before=app:1"), ["db:1"]),
        (("-f", "until=2025-06-01"), ["db:1"]),
        (("-f", "reference=d?", "-f", "reference=app:1"), ["app:1", "db:1"]),
    ],
)
def test_filters_choose_images_and_names(pycompose, images, arguments, expected) -> None:
    assert pycompose("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", *arguments).out.splitlines() == expected


def test_a_wrong_filter_is_refused_as_docker_does(pycompose, images) -> None:
    assert pycompose("image", "ls", "-f", "foo=bar").err == "invalid filter 'foo'\n"
    assert pycompose("image", "ls", "-f", "nope").code == 125


def test_the_json_form_has_dockers_keys(pycompose, images) -> None:
    row = json.loads(pycompose("image", "ls", "--format", "json", "db").out)
    assert list(row) == [
        "Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size", "Tag",
        "UniqueSize", "VirtualSize",
    ]  # fmt: skip
    assert (row["Digest"], row["ID"], row["Containers"]) == (A, "c" * 12, "N/A")


def test_prune_asks_before_it_begins_and_only_y_is_a_yes(pycompose, engine) -> None:
    engine.routes["POST /v1/images/prune"] = {
        "ImagesDeleted": [{"Untagged": "app:1"}, {"Deleted": A}],
        "SpaceReclaimed": 21_500_000,
    }
    for answer in ("", "n\n", "yes\n"):
        pycompose.stdin = answer
        assert pycompose("image", "prune", "-a").code == 0
    assert "POST /v1/images/prune" not in engine.requests
    pycompose.stdin = "Y\n"
    out = pycompose("image", "prune", "-a", "--filter", "label=a=b", "--filter", "label!=c", "--filter", "until=1h").out
    assert out.splitlines() == [
        "WARNING! This will remove all images without at least one container associated to them.",
        "Are you sure you want to continue? [y/N] Deleted Images:",
        "untagged: app:1",
        f"deleted: {A}",
        "",
        "Total reclaimed space: 21.5MB",
    ]
    body = engine.bodies[-1]
    assert (body["All"], body["Labels"], body["NotLabels"]) == (True, ["a=b"], ["c"])
    assert time.time() - 3600 - 60 < body["Until"] < time.time() - 3600 + 60


def test_what_is_loaded_is_told_as_it_comes_and_the_error_after_it(pycompose, engine) -> None:
    def load(exchange) -> None:
        exchange.raw(UPGRADED)
        decoder, sent, ended = frames.Decoder(), b"", False
        while not ended:
            for kind, payload in decoder.feed(exchange.sock.recv(1 << 16)):
                sent += payload if kind == frames.STDIN else b""
                ended = ended or kind == frames.EOF
        received.append(sent)
        for event in (
            {"status": "progress", "text": "reading", "current": 1, "total": 2},
            {"status": "loaded", "Id": A, "Tags": ["app:1", "app:2"], "Replaced": {"app:2": B}},
            {"status": "loaded", "Id": C, "Tags": [], "Replaced": {}},
        ):
            exchange.raw(frames.encode(frames.STDERR, json.dumps(event).encode()))
        error = {"kind": "InvalidParameter", "message": "layer x: verification failed", "fields": {}}
        exchange.raw(frames.encode(frames.ERROR, json.dumps(error).encode()))

    received: list[bytes] = []
    engine.routes["POST /v1/images/load"] = load
    (pycompose.folder / "a.tar").write_bytes(b"x" * 1_000_000)
    result = pycompose("image", "load", "-i", "a.tar")
    assert received == [b"x" * 1_000_000]
    assert engine.bodies[-1] == {"Name": "a.tar", "Size": 1_000_000, "Directory": ""}
    assert result.out.splitlines() == [
        "Loaded image: app:1",
        f"The image app:2 already exists, renaming the old one with ID {B} to empty string",
        "Loaded image: app:2",
        f"Loaded image ID: {C}",
    ]
    assert (result.code, result.err) == (1, "layer x: verification failed\n")


def test_an_import_sends_a_tar_and_names_a_directory_from_the_callers_place(pycompose, engine) -> None:
    def imported(exchange) -> None:
        exchange.raw(UPGRADED)
        for event in (
            {"status": "progress", "text": "unpacking", "current": 1, "total": 2},
            {"status": "warning", "text": "var/sock: a socket, not imported"},
        ):
            exchange.raw(frames.encode(frames.STDERR, json.dumps(event).encode()))
        exchange.raw(frames.encode(frames.EXIT, json.dumps({"ExitCode": 0, "Id": A}).encode()))

    engine.routes["POST /v1/images/import"] = imported
    (pycompose.folder / "root").mkdir()
    result = pycompose("image", "import", "root", "my:1", "-c", "CMD sh", "-m", "by hand")
    assert (result.code, result.out) == (0, f"{A}\n")
    assert 'level=warning msg="var/sock: a socket, not imported"' in result.err
    assert len(result.err.splitlines()) == 1
    assert engine.bodies[-1] == {
        "Name": "root", "Size": 0, "Directory": f"{pycompose.folder}/root", "Reference": "my:1",
        "Changes": ["CMD sh"], "Message": "by hand",
    }  # fmt: skip
    pycompose.stdin = "a tar"
    assert pycompose("image", "import", "-").out == f"{A}\n"
    assert (engine.bodies[-1]["Name"], engine.bodies[-1]["Size"], engine.bodies[-1]["Directory"]) == ("-", 5, "")
    assert pycompose("image", "import", "nothere", "my:1").err == "open nothere: no such file or directory\n"


def test_a_save_that_breaks_off_leaves_no_file(pycompose, engine) -> None:
    def save(exchange) -> None:
        exchange.raw(UPGRADED + frames.encode(frames.STDOUT, b"half an archive"))
        exchange.sock.shutdown(2)

    engine.routes["POST /v1/images/save"] = save
    result = pycompose("image", "save", "-o", "a.tar", "app:1")
    assert (result.code, result.err) == (1, "engine closed the stream before it was done\n")
    assert os.listdir(pycompose.folder) == ["compose.yaml"]


def test_a_saved_file_replaces_the_old_one_only_when_it_is_complete(pycompose, engine) -> None:
    def save(exchange) -> None:
        exchange.raw(UPGRADED + frames.encode(frames.STDOUT, b"an archive"))
        exchange.raw(frames.encode(frames.EXIT, json.dumps({"ExitCode": 0, "Ids": [A]}).encode()))

    engine.routes["POST /v1/images/save"] = save
    (pycompose.folder / "a.tar").write_text("the old one")
    assert pycompose("image", "save", "-o", "a.tar", "app:1", "db").code == 0
    assert engine.bodies[-1] == {"Images": ["app:1", "db"]}
    assert (pycompose.folder / "a.tar").read_text() == "an archive"
    assert pycompose("image", "save", "app:1").out == "an archive"


def test_archives_do_not_go_to_terminals_or_come_from_them(pycompose, engine) -> None:
    ours, terminal = pty.openpty()
    with open(terminal, encoding="utf-8") as read, open(os.dup(terminal), "w", encoding="utf-8") as write:
        console = Console(environ=pycompose.environ, cwd="/", stdin=read, stdout=write, stderr=write)
        with pytest.raises(ComposeError, match="cowardly refusing to save to a terminal. Use the -o flag or redirect"):
            app.main(["image", "save", "app:1"], console)
        with pytest.raises(ComposeError, match="requested load from stdin, but stdin is empty"):
            app.main(["image", "load"], console)
    os.close(ours)
    assert not engine.requests


def test_a_removal_names_what_is_missing_after_what_went(pycompose, engine) -> None:
    def plan(exchange) -> None:
        exchange.begin_stream()
        for operation in exchange.json()["operations"]:
            end = {"op": operation["id"], "at": 0.0}
            if operation["args"]["Image"] == "app:1":
                report = [{"Untagged": "app:1"}, {"Deleted": A}]
                exchange.line({**end, "status": "done", "result": {"Report": report}})
            else:
                exchange.line({**end, "status": "unchanged", "result": {"Missing": "no such image: nosuch:latest"}})
        exchange.line({"status": "finished"})
        exchange.end_stream()

    engine.routes["POST /v1/plan"] = plan
    result = pycompose("image", "rm", "nosuch", "app:1")
    assert (result.code, result.out) == (1, f"Untagged: app:1\nDeleted: {A}\n")
    assert result.err == "no such image: nosuch:latest\n"
    assert pycompose("image", "rm", "-f", "nosuch").code == 0
    assert pycompose("image", "rm").code == 1


@pytest.mark.parametrize(
    "arguments", [("tag", "a", "b"), ("prune", "-f"), ("load", "-i", "x"), ("save", "-o", "x", "a"), ("import", "x")]
)
def test_what_has_no_plan_to_show_is_not_done_in_a_dry_run(pycompose, engine, arguments) -> None:
    result = pycompose("--dry-run", "image", *arguments)
    assert (result.code, result.err) == (1, f"image {arguments[0]} does not support --dry-run\n")
    assert not [request for request in engine.requests if request.startswith("POST")]


USAGE = {
    "LayersSize": 1000,
    "Images": [
        {**image(A, "app:1"), "Size": 700, "SharedSize": 200, "Containers": 1},
        {**image(B), "Size": 500, "SharedSize": 200, "Containers": 0},
    ],
    "Containers": [],
    "Volumes": [
        {
            "Name": "data", "Driver": "local", "Labels": {}, "Mountpoint": "/v", "Scope": "local",
            "UsageData": {"Size": 6, "RefCount": 0},
        }
    ],
    "BuildCache": [
        {
            "ID": "k" * 64, "Type": "regular", "Description": "RUN make", "InUse": False, "Shared": shared,
            "Size": 30, "CreatedAt": "2025-01-01T00:00:00Z", "LastUsedAt": "2025-01-01T00:00:00Z",
        }
        for shared in (False, True)
    ],
}  # fmt: skip


def test_disk_usage_says_what_could_be_had_back(pycompose, engine) -> None:
    engine.routes["GET /v1/engine/df"] = USAGE
    assert pycompose("engine", "df").out.splitlines() == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          2         1         1kB       500B (50%)",
        "Containers      0         0         0B        0B",
        "Local Volumes   1         0         6B        6B (100%)",
        "Build Cache     2         0         30B       30B",
    ]
    assert pycompose("engine", "df", "--format", "{{.Type}}:{{.TotalCount}}").out.splitlines()[0] == "Images:2"
    whole = pycompose("engine", "df", "-v").out
    assert "\nVOLUME NAME   LINKS     SIZE\ndata          0         6B\n" in whole
    assert whole.splitlines()[3].split()[-4:] == ["700B", "200B", "500B", "1"]
    assert pycompose("engine", "df", "-v", "--format", "{{range .Images}}{{.UniqueSize}} {{end}}").out == "500B 300B \n"
