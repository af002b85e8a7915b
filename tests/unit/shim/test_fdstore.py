"""The descriptor store owns what it is given."""

from __future__ import annotations

import os

import pytest

from runtime.errors import NotFound
from runtime.shim.fdstore import FdStore


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_what_is_stored_can_be_fetched_until_it_is_dropped():
    store = FdStore()
    fds = list(os.pipe())
    store.store("sandbox/a", fds)
    assert store.fetch("sandbox/a") == fds
    assert store.keys() == ["sandbox/a"]
    store.drop("sandbox/a")
    assert not any(is_open(fd) for fd in fds)
    with pytest.raises(NotFound):
        store.fetch("sandbox/a")
    store.drop("sandbox/a")


def test_storing_again_replaces_and_closes_the_old():
    store = FdStore()
    old, new = list(os.pipe()), list(os.pipe())
    store.store("k", old)
    store.store("k", new)
    assert store.fetch("k") == new
    assert not any(is_open(fd) for fd in old)
    store.drop("k")
