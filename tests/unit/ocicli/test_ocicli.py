"""The OCI command line without containers: help, errors, what it says about itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runtime import ocicli
from runtime.oci import state

if TYPE_CHECKING:
    from pathlib import Path

VERBS = ("create", "start", "run", "exec", "state", "list", "ps", "kill", "pause", "resume", "delete", "features")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = ocicli.main(words)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_names_every_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    lines = [line.split(maxsplit=1) for line in out.splitlines() if line.startswith("    ")]
    assert {words[0] for words in lines if len(words) == 2} >= set(VERBS)
    for verb in VERBS:
        code, out, _ = run(capsys, verb, "--help")
        assert (code, out.startswith(f"usage: pycompose oci {verb}")) == (0, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "the following arguments are required: VERB (see pycompose oci --help)"),
        (["nosuch"], 2, "argument VERB: invalid choice: 'nosuch'"),
        (["state"], 2, "the following arguments are required: ID (see pycompose oci state --help)"),
        (["create", "--preserve-fds", "x", "box"], 2, "argument --preserve-fds: invalid int value: 'x'"),
        (["state", "box"], 1, "container box: does not exist"),
        (["state", "../box"], 1, "container id '../box': only letters, digits and _ + - . are allowed"),
        (["start", "box"], 1, "container box: does not exist"),
        (["kill", "box"], 1, "container box: does not exist"),
        (["kill", "box", "SIGNOSUCH"], 1, "invalid signal: SIGNOSUCH"),
        (["pause", "box"], 1, "container box: does not exist"),
        (["ps", "box"], 1, "container box: does not exist"),
        (["delete", "box"], 1, "container box: does not exist"),
    ],
)
def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    found, out, err = run(capsys, "--root", str(tmp_path / "state"), *words)
    assert (found, out) == (code, "")
    assert err.startswith(f"pycompose oci: {message}"), err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create", "-b", "/nosuch", "box"], "bundle /nosuch: has no config.json"),
        (["run", "-b", "{here}", "box"], "{here}/config.json: Expecting value: line 1 column 1 (char 0)"),
        (["create", "--preserve-fds", "200", "-b", "/nosuch", "box"], "preserve-fds 200: descriptor 3 is not open"),
        (["exec", "box", "true"], "container box: does not exist"),
        (["exec", "box"], "exec: no command"),
        (["exec", "--process", "{here}/config.json", "box"], "{here}/config.json: Expecting value"),
        (["exec", "--process", "{here}/absent", "box"], "{here}/absent: No such file or directory"),
    ],
)
def test_an_error_of_what_runs_from_the_sealed_copy_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "config.json").write_text("")
    here = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "runtime.oci", "--root", f"{here}/state", *(word.format(here=here) for word in words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"pycompose oci: {message.format(here=here)}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(here) == ["config.json"]


def test_to_force_the_removal_of_what_is_not_there_is_no_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, "--root", str(tmp_path), "delete", "--force", "box") == (0, "", "")


def test_one_damaged_container_hides_no_other_and_can_be_removed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state.make(str(tmp_path), "fine", {"root": {"path": "rootfs"}}, "/bundle")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/state.json").write_text("{")
    code, out, err = run(capsys, "--root", str(tmp_path), "list", "-f", "json")
    assert code == 0
    assert "warning: container broken: state is damaged" in err
    (row,) = json.loads(out)
    assert (row["id"], row["status"], row["pid"]) == ("fine", "creating", 0)
    assert (row["bundle"], row["rootfs"]) == ("/bundle", "/bundle/rootfs")
    assert run(capsys, "--root", str(tmp_path), "delete", "broken")[0] == 1
    assert run(capsys, "--root", str(tmp_path), "delete", "--force", "broken") == (0, "", "")
    assert run(capsys, "--root", str(tmp_path), "list", "-q") == (0, "fine\n", "")


@pytest.mark.parametrize("form", ["json", "text"])
def test_errors_go_to_the_log_in_the_form_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    run(capsys, "--log", str(tmp_path / "log"), "--log-format", form, "--root", str(tmp_path), "state", "box")
    text = (tmp_path / "log").read_text()
    if form == "json":
        assert json.loads(text)["msg"] == "container box: does not exist"
    else:
        assert 'level=error msg="container box: does not exist"' in text


def test_a_log_that_cannot_be_written_is_said_and_hides_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, _, err = run(capsys, "--log", "/nosuch/log", "--root", str(tmp_path), "state", "box")
    assert err.splitlines() == [
        "pycompose oci: container box: does not exist",
        "pycompose oci: /nosuch/log: No such file or directory",
    ]


def test_features_are_a_document_and_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "features")[1])
    assert "rbind" in found["mountOptions"]
    assert set(found["linux"]["namespaces"]) >= {"mount", "pid", "user", "network"}
    assert run(capsys, "--version")[1].startswith("pycompose-oci ")
