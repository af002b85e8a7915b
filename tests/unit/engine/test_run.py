from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from runtime.engine.run import Run
from runtime.errors import SystemFailure


def test_a_fault_that_nobody_foresaw_is_an_error_that_is_cleaned_up_after(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fault(_run: Run) -> None:
        raise TypeError("a slip")

    monkeypatch.setattr(Run, "_start", fault)
    run = Run.__new__(Run)
    run.container = SimpleNamespace(record=SimpleNamespace(name="web-1"))  # type: ignore[assignment]
    with pytest.raises(SystemFailure, match=r"container web-1: TypeError\('a slip'\)"):
        asyncio.run(run.start())
