"""The records of build steps: found while their layer is there, forgotten when unused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.images.buildcache import BuildCache, Step

if TYPE_CHECKING:
    from pathlib import Path


def cache_with(tmp_path: Path, *steps: tuple[str, str]) -> BuildCache:
    """A cache with steps of (key, chain), the layer of each 100 bytes."""
    cache = BuildCache(str(tmp_path))
    cache.prepare()
    for key, chain in steps:
        (tmp_path / "layers" / chain / "diff").mkdir(parents=True, exist_ok=True)
        cache.put(key, Step(chain=chain, diff_id=f"sha256:{chain}", tar_size=512, size=100, created="t", text=key))
    return cache


def test_a_step_is_found_by_its_key_while_its_layer_is_there(tmp_path: Path) -> None:
    cache = cache_with(tmp_path, ("k", "c"))
    assert (cache.get("k") or {}).get("diff_id") == "sha256:c"
    assert cache.get("other") is None
    (tmp_path / "layers" / "c" / "diff").rmdir()
    assert cache.get("k") is None


def test_a_damaged_record_counts_as_missing(tmp_path: Path) -> None:
    cache = cache_with(tmp_path, ("k", "c"))
    for text in ("", "[]", '{"version": 99, "chain": "c"}', '{"version": 1}'):
        (tmp_path / "steps" / "k.json").write_text(text)
        assert cache.get("k") is None
    assert cache.chains() == set()


def test_pruning_keeps_what_images_use_and_what_was_used_lately(tmp_path: Path) -> None:
    cache = cache_with(tmp_path, ("old", "a"), ("used", "b"), ("new", "c"))
    os.utime(tmp_path / "steps" / "old.json", (1, 1))
    assert cache.prune({"b"}, older_than=3600) == {"Count": 1, "Size": 100}
    assert cache.chains() == {"b", "c"}
    assert cache.prune({"b"}) == {"Count": 1, "Size": 100}
    assert cache.prune({"b"}, everything=True)["Count"] == 1


def test_notes_and_files_come_back(tmp_path: Path) -> None:
    cache = cache_with(tmp_path)
    assert cache.get_note("n") == ""
    cache.put_note("n", "digest")
    assert cache.get_note("n") == "digest"
    cache.put_files("f", "chain", "data", {"/a": "1"})
    assert cache.get_files("f", "data") == (f"{tmp_path}/layers/chain/diff/data", {"/a": "1"})
    assert cache.get_files("f", "elsewhere") is None
