"""Fixtures of tests that start real containers: an engine, a data root and names of their own for each test."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import peer
from tests.kit.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if peer.is_chosen() and (not item.get_closest_marker("both") or item.get_closest_marker("ours")):
            item.add_marker(pytest.mark.skip(reason="asks more than Docker Compose can answer"))


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A project with an engine of its own; after the test nothing of it is left on the machine."""
    with _stack() as made:
        yield made


@pytest.fixture(scope="module")
def module_stack() -> Iterator[Stack]:
    """A stack for the tests of a module that only look, or leave it as they found it."""
    with _stack() as made:
        yield made


@contextmanager
def _stack() -> Iterator[Stack]:
    if peer.is_chosen():
        theirs = peer.stack()
        try:
            yield theirs
        finally:
            theirs.close()
        return
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    made = Stack(root=root, project=f"t{secrets.token_hex(3)}")
    try:
        yield made
        made.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
