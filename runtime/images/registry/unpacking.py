"""Unpack several layers at a time, in processes of their own once there is enough to do to be worth their start."""

from __future__ import annotations

import os
import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from runtime.images import layers
from runtime.images.compression import decompressed
from runtime.images.unpacker import Unpacker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.images.layers import Layer
    from runtime.images.manifest import Descriptor
    from runtime.images.registry.download import Follower

    Unpack = Callable[[Follower, Callable[[], None]], Layer]
    """Unpacks a compressed stream, calling now and then."""

MOST: Final = 4
"""Layers at a time."""
WORTH: Final = 4 << 20
"""Compressed bytes of all layers below which a process of its own takes longer to start than it saves."""


class Unpackers:
    """A pool of unpackers for the layers of one image."""

    def __init__(self, work: str, blobs: Sequence[Descriptor]) -> None:
        """`work`: the workspace that they are unpacked to; `blobs`: all that may come."""
        self._work = work
        cores = len(os.sched_getaffinity(0))
        count = max(min(len(blobs), cores, MOST), 1)
        apart = sum(blob["size"] for blob in blobs) >= WORTH
        self._idle: queue.SimpleQueue[Unpacker] = queue.SimpleQueue()
        self._processes = [Unpacker() for _ in range(count)] if apart else []
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(count, "unpack")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None:
            # whoever waits for a process hears that it died
            for process in self._processes:
                process.close()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.close()

    def submit(self, work: Callable[[Unpack], Layer | None]) -> Future[Layer | None]:
        """Run `work` with an unpacker as soon as one is free, in the order of submission."""
        return self._threads.submit(self._run, work)

    def _run(self, work: Callable[[Unpack], Layer | None]) -> Layer | None:
        if not self._processes:
            return work(self._here)
        process = self._idle.get()
        try:
            return work(lambda source, progress: process.unpack(source, layers.make_directory(self._work), progress))
        finally:
            self._idle.put(process)

    def _here(self, source: Follower, progress: Callable[[], None]) -> Layer:
        plain, _ = decompressed(source)
        return layers.unpack(plain, self._work, lowers=[], progress=lambda _written: progress())
