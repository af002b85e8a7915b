"""A registry that lies when asked to, and a store to pull into without long pauses between attempts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from runtime.images import platform as platforms
from runtime.images.reference import parse
from runtime.images.registry import backoff
from runtime.images.registry.pull import Asked, Pulled, pull_image
from runtime.images.store import ImageStore
from runtime.paths import Paths
from tests.kit.lyingregistry import LyingRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def nothing_is_there(store: ImageStore) -> bool:
    """No image, no layer, no half of one."""
    return len(store.list()) == 1 and not os.listdir(f"{store.root}/layers") and not os.listdir(f"{store.root}/tmp")


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingRegistry]:
    monkeypatch.setattr(backoff, "FIRST", 0.01)
    made = LyingRegistry().start()
    yield made
    made.stop()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    made = ImageStore(Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run")))
    made.prepare()
    return made


@pytest.fixture
def pull(store: ImageStore, registry: LyingRegistry) -> Callable[..., Pulled]:
    """Pull `name` of the lying registry; keywords are the access."""

    def run(name: str, *, platform: str = "linux/amd64", told: list[Any] | None = None, **access: Any) -> Pulled:
        reference = parse(name if "/" in name else f"{registry.host}/{name}").tagged()
        asked = Asked(reference=reference, platform=platforms.parse(platform), access=access)  # type: ignore[arg-type]
        events: list[Any] = [] if told is None else told
        return pull_image(store, asked, progress=lambda *event: events.append(event))

    return run
