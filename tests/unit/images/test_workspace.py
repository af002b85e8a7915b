"""Workspaces of jobs that run side by side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runtime.images import workspace

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_workspace_swept_before_it_is_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    make = os.mkdir

    def make_and_sweep(path: str, *arguments: Any, **options: Any) -> None:
        make(path, *arguments, **options)
        if not swept and os.path.dirname(path) == f"{tmp_path}/tmp":
            swept.append(workspace.sweep(str(tmp_path)))

    monkeypatch.setattr(os, "mkdir", make_and_sweep)
    with workspace.workspace(str(tmp_path)) as path:
        assert os.path.isdir(path)
    assert swept == [1]


def test_a_workspace_in_use_is_not_swept(tmp_path: Path) -> None:
    with workspace.workspace(str(tmp_path)) as path:
        assert workspace.sweep(str(tmp_path)) == 0
        assert os.path.isdir(path)
