"""The systemd unit says what this command line would do, whatever is in its paths."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from compose.cli.commands.engine.unit import quoted

if TYPE_CHECKING:
    from pathlib import Path


def test_the_unit_starts_and_stops_the_engine_of_this_data_root(pycompose, engine, tmp_path: Path) -> None:
    text = pycompose("engine", "unit").out
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert settings["ExecStart"] == f"{sys.executable} -P -m compose engine start"
    assert settings["ExecStop"] == f"{sys.executable} -P -m compose engine stop --containers --resume"
    assert f"Environment=PYCOMPOSE_ROOT={tmp_path}" in text.splitlines()
    assert settings["RequiresMountsFor"] == f"{tmp_path}/data"
    assert settings["WantedBy"] == ("multi-user.target" if os.geteuid() == 0 else "default.target")
    assert engine.requests == []


@pytest.mark.parametrize(
    ("word", "text"),
    [("/opt/a-b_c.d", "/opt/a-b_c.d"), ("/a b", '"/a b"'), ("50%", '"50%%"'), ('a"b\\', '"a\\"b\\\\"')],
)
def test_words_of_a_unit_are_quoted_as_systemd_reads_them(word: str, text: str) -> None:
    assert quoted(word) == text


def test_systemd_finds_nothing_wrong_with_the_unit(pycompose, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "pycompose.service"
    unit.write_text(pycompose("engine", "unit").out)
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert "pycompose.service" not in done.stderr, done.stderr


def test_resume_is_for_containers_that_are_stopped_along(pycompose) -> None:
    result = pycompose("engine", "stop", "--resume")
    assert (result.code, result.err) == (1, "--resume needs --containers\n")
