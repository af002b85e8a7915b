from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.ocibundle import Bundle
from tests.kit.ocicommand import Command

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bundle() -> Iterator[Bundle]:
    """Not below pytest's own directory, which other users (a user namespace's root among them) cannot enter."""
    directory = Path(tempfile.mkdtemp(prefix="pyc-oci-"))
    directory.chmod(0o755)
    yield Bundle(directory)
    shutil.rmtree(directory)


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host that no container may touch."""
    directory = tmp_path / "sentinel"
    directory.mkdir()
    (directory / "file").write_text("untouched")
    before = directory.stat()
    yield directory
    after = directory.stat()
    assert [entry.name for entry in directory.iterdir()] == ["file"]
    assert (directory / "file").read_text() == "untouched"
    assert (before.st_mode, before.st_uid, before.st_mtime_ns) == (after.st_mode, after.st_uid, after.st_mtime_ns)


@pytest.fixture
def oci(bundle: Bundle, tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path / "state", bundle)
    yield made
    made("delete", "--force", "box")
    assert not (tmp_path / "state/box").exists()
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        assert not (hierarchy / made.cgroup).exists()
        if (hierarchy / made.cgroup).parent.is_dir():
            (hierarchy / made.cgroup).parent.rmdir()
