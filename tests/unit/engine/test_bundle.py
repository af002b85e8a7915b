"""Bundles live as long as their containers."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from runtime.engine.bundle import remove_strays

if TYPE_CHECKING:
    from pathlib import Path


def test_bundles_of_unknown_containers_go_and_nothing_else_does(tmp_path: Path) -> None:
    known, unknown = "a" * 64, "b" * 64
    for name in (known, unknown, "rehearsal"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "hosts").write_text("")
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    engine: Any = SimpleNamespace(zygote=SimpleNamespace(bundles=directory), containers={known: object()})
    try:
        remove_strays(cast("Any", engine))
    finally:
        os.close(directory)
    assert sorted(os.listdir(tmp_path)) == [known, "rehearsal"]
