"""The results of build steps by cache key: which layer a step made, so that an unchanged step is never run again.

A record names a layer by its chain id and holds nothing else worth keeping: losing one costs a build step, so records
are written without fsync and a damaged one counts as missing. Layers named here are kept when images are collected.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypedDict

from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

VERSION = 1


class Step(TypedDict, total=False):
    """What one step made: its layer by chain id, and when."""

    version: int
    chain: str
    diff_id: str
    tar_size: int
    size: int
    """Bytes of file content in the layer."""
    created: str
    """RFC 3339: when the step ran."""
    text: str
    """The instruction, for lists."""


class BuildCache:
    """The records below `images/steps` of one image store."""

    def __init__(self, images_root: str) -> None:
        self.directory = f"{images_root}/steps"
        self._layers = f"{images_root}/layers"

    def prepare(self) -> None:
        """Make the directory; raises OSError."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def get(self, key: str) -> Step | None:
        """The step with this key, if its layer is still there; it counts as used now."""
        path = f"{self.directory}/{key}.json"
        step = _read(path)
        if step is None or not os.path.isdir(f"{self._layers}/{step['chain']}/diff"):
            return None
        try:
            os.utime(path)
        except OSError:
            return None
        return step

    def put(self, key: str, step: Step) -> None:
        """Note what a step made; raises OSError."""
        atomicfile.write_json(f"{self.directory}/{key}.json", {**step, "version": VERSION}, sync=False)

    def get_note(self, key: str) -> str:
        """A digest noted under `key` (what a stage holds at some path), else empty."""
        try:
            with open(f"{self.directory}/{key}.note", encoding="ascii") as file:
                return file.read()
        except (OSError, ValueError):
            return ""

    def put_note(self, key: str, text: str) -> None:
        """Note a short text under a key; raises OSError."""
        atomicfile.write_text(f"{self.directory}/{key}.note", text, sync=False)

    def get_files(self, family: str, place: str) -> tuple[str, dict[str, str]] | None:
        """The directory `place` of the layer that an instruction made last, and its files' digests by path."""
        try:
            found = atomicfile.read_json(f"{self.directory}/{family}.files")
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict) or found.get("version") != VERSION or found.get("place") != place:
            return None
        return f"{self._layers}/{found['chain']}/diff/{place}", found["files"]

    def put_files(self, family: str, chain: str, place: str, files: dict[str, str]) -> None:
        """Note what an instruction put into the directory `place` of its layer; raises OSError."""
        record = {"version": VERSION, "chain": chain, "place": place, "files": files}
        atomicfile.write_json(f"{self.directory}/{family}.files", record, sync=False)

    def chains(self) -> set[str]:
        """The chain ids of all layers that records name."""
        return {step["chain"] for _, step, _ in self._all()}

    def entries(self) -> list[tuple[str, Step, float]]:
        """Key, record and time of the last use (seconds since the epoch) of every step, the last used first."""
        found = [(name.removesuffix(".json"), step, used_at) for name, step, used_at in self._all()]
        return sorted(found, key=lambda entry: entry[2], reverse=True)

    def usage(self, used: Collection[str] = ()) -> dict[str, Any]:
        """`Count`, `Size` and `Reclaimable` (bytes; layers not in `used` by an image) of the cache; raises nothing."""
        sizes: dict[str, int] = {}
        count = 0
        for _, step, _ in self._all():
            count += 1
            sizes[step["chain"]] = int(step.get("size") or 0)
        free = sum(size for chain, size in sizes.items() if chain not in used)
        active = sum(1 for _, step, _ in self._all() if step["chain"] in used)
        return {"Count": count, "Active": active, "Size": sum(sizes.values()), "Reclaimable": free}

    def trim(self, most: int) -> int:
        """Forget the steps used longest ago beyond `most` bytes of layers; how many."""
        seen: set[str] = set()
        size = count = 0
        for key, step, _ in self.entries():
            if step["chain"] not in seen:
                seen.add(step["chain"])
                size += int(step.get("size") or 0)
            if size > most:
                _unlink(f"{self.directory}/{key}.json")
                count += 1
        return count

    def prune(self, used: Collection[str] = (), *, everything: bool = False, older_than: float = 0.0) -> dict[str, Any]:
        """Forget steps (their layers go with the next collection): `Count` and `Size` in bytes.

        Only those whose layer no image in `used` has, unless `everything`; only those not used for `older_than` seconds.
        """
        now = time.time()
        count = size = 0
        for name, step, used_at in self._all():
            if (not everything and step["chain"] in used) or now - used_at < older_than:
                continue
            try:
                os.unlink(f"{self.directory}/{name}")
            except FileNotFoundError:
                continue
            count += 1
            size += int(step.get("size") or 0) if step["chain"] not in used else 0
        for name in _names(self.directory):
            if name.endswith((".note", ".files")) and everything:
                _unlink(f"{self.directory}/{name}")
        return {"Count": count, "Size": size}

    def _all(self) -> Iterator[tuple[str, Step, float]]:
        """(file name, record, time of the last use) of every readable record."""
        for name in _names(self.directory):
            if not name.endswith(".json") or name.startswith(atomicfile.PREFIX):
                continue
            path = f"{self.directory}/{name}"
            step = _read(path)
            try:
                used_at = os.stat(path).st_mtime
            except OSError:
                continue
            if step is not None:
                yield name, step, used_at


def _read(path: str) -> Step | None:
    try:
        found = atomicfile.read_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("version") != VERSION or not isinstance(found.get("chain"), str):
        return None
    step: Step = found  # type: ignore[assignment]  # checked as far as anybody relies on it
    return step


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
