"""One of several jobs works on a blob or layer, the others wait; halves that nobody goes on with are collected."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from runtime.images import partial, removal
from runtime.images.store import ImageStore
from runtime.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_job_waits_for_the_layer_and_says_so(tmp_path: Path) -> None:
    first, second = partial.Claims(str(tmp_path)), partial.Claims(str(tmp_path))
    first.take("a" * 64, lambda: None)
    said = threading.Event()
    taken = threading.Event()

    def other() -> None:
        second.take("a" * 64, said.set)
        taken.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert said.wait(10)
    assert not taken.is_set()
    first.release("a" * 64)
    assert taken.wait(10)
    thread.join()
    second.close()
    assert os.listdir(f"{tmp_path}/partial") == []


def test_layers_of_different_names_do_not_wait_for_each_other(tmp_path: Path) -> None:
    first, second = partial.Claims(str(tmp_path)), partial.Claims(str(tmp_path))
    first.take("a" * 64, lambda: None)
    second.take("b" * 64, lambda: None)
    first.close()
    second.close()


def test_collection_takes_halves_that_are_old_and_not_at_work(tmp_path: Path) -> None:
    store = ImageStore(Paths(str(tmp_path / "data"), str(tmp_path / "run")))
    store.prepare()
    directory = partial.directory(store.root)
    old = time.time() - partial.KEPT - 60
    for name in ("old", "busy", "fresh"):
        with open(f"{directory}/{name}", "wb") as file:
            file.write(b"half")
    fd = partial.locked(f"{directory}/busy", lambda: None)
    with open(f"{directory}/claim-of-a-dead-job", "wb"):
        pass
    for name in ("old", "busy"):
        os.utime(f"{directory}/{name}", (old, old))
    removal.collect(store)
    assert sorted(os.listdir(directory)) == ["busy", "fresh"]
    os.close(fd)
