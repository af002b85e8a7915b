"""A fake engine for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.fakeengine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    fake = FakeEngine(tmp_path)
    yield fake
    fake.close()
