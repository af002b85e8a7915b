"""The zygote of one test."""

from __future__ import annotations

import pytest

from .rig import Rig


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()
