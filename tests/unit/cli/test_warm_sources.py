"""The warm server hears of changed sources, and looks at them only then."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from compose.cli.warm import sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _signal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sources, "_tells", lambda _directory: True)  # the tests' directory may be a tmpfs
    before = signal.getsignal(signal.SIGIO)
    yield
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # descriptors of the tests still listen
    if before not in (None, signal.SIG_DFL):
        signal.signal(signal.SIGIO, before)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a" / "one.py", tmp_path / "b" / "two.py"]
    for path in paths:
        path.parent.mkdir()
        path.write_text("x = 1\n")
    return paths


def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are looked at from now on."""
    seen: list[str] = []
    real = sources._modified
    monkeypatch.setattr(sources, "_modified", lambda path: seen.append(path) or real(path))
    return seen


def test_unchanged_sources_are_looked_at_once(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    found = sources.Sources(map(str, files))
    seen = looks(monkeypatch)
    assert not found.changed()
    assert len(seen) == 2
    assert not found.changed()
    assert len(seen) == 2


@pytest.mark.parametrize("change", ["write", "replace", "remove", "touch"])
def test_a_change_is_heard_of(files: list[Path], change: str) -> None:
    found = sources.Sources(map(str, files))
    assert not found.changed()
    one = files[1]
    if change == "write":
        with one.open("r+") as stream:
            stream.write("y = 2\n")
        os.utime(one, (1, 1))  # the clock of files may stand still for some milliseconds
    elif change == "replace":
        other = one.with_name("other")
        other.write_text("")
        os.utime(other, (1, 1))
        other.rename(one)
    elif change == "remove":
        one.unlink()
    else:
        os.utime(one, (1, 1))
    assert found.changed()
    assert found.changed()


def test_what_is_none_of_its_files_is_looked_at_and_forgotten(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sources.Sources(map(str, files))
    assert not found.changed()
    seen = looks(monkeypatch)
    (files[0].parent / "new.py").write_text("")
    assert not found.changed()
    assert len(seen) == 2
    assert not found.changed()
    assert len(seen) == 2


@pytest.mark.parametrize("way", ["rename", "link"])
def test_another_directory_in_the_place_is_noticed(tmp_path: Path, way: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("")
    root = tmp_path / "current"
    if way == "link":
        root.symlink_to("one")
    else:
        (tmp_path / "one").rename(root)
    found = sources.Sources([str(root / "a.py")], [str(root)])
    assert not found.changed()
    if way == "link":
        root.unlink()
        root.symlink_to("two")
    else:
        root.rename(tmp_path / "away")
        (tmp_path / "two").rename(root)
    assert found.changed()


def test_files_that_change_elsewhere_are_looked_at_each_time(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_tells", lambda _directory: False)
    found = sources.Sources(map(str, files))
    seen = looks(monkeypatch)
    assert not found.changed()
    assert not found.changed()
    assert len(seen) == 4


def test_a_kernel_that_does_not_tell_is_no_reason_to_believe(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(sources.fcntl, "fcntl", refuse)
    found = sources.Sources(map(str, files))
    assert not found.changed()
    os.utime(files[0], (1, 1))
    assert found.changed()
