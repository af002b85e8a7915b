"""What containers are owed, and how it is packed."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from compose.usecases.filesync import Debt, Ledger, pieces

if TYPE_CHECKING:
    from pathlib import Path


def test_a_later_change_takes_the_place_of_an_earlier_one() -> None:
    debt = Debt()
    debt.add({"/a/x": "1", "/a/y": "1"}, ())
    debt.add({"/b": "2"}, ["/a"])
    assert (debt.copies, list(debt.deletions)) == ({"/b": "2"}, ["/a"])
    debt.add({"/a/x": "3"}, ())
    assert debt.copies == {"/b": "2", "/a/x": "3"}


def test_a_container_that_comes_later_is_owed_all_changes_since_the_beginning() -> None:
    ledger = Ledger(["web", "api"])
    ledger.meet({"1": "web", "2": "api"})
    ledger.owe("web", {"/x": "x"}, ())
    ledger.paid("1")
    ledger.owe("web", {"/y": "y"}, ["/z"])
    assert ledger.of("1").copies == {"/y": "y"}
    assert not ledger.of("2")
    ledger.meet({"1": "web", "3": "web"})
    assert ledger.of("3").copies == {"/x": "x", "/y": "y"}
    assert ledger.of("1").copies == {"/y": "y"}


def test_files_links_and_directories_are_packed_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"x" * 300_000)
    (tmp_path / "f").chmod(0o755)
    (tmp_path / "l").symlink_to("f")
    long = "n" * 150
    copies = {"/app/d": "d", "/app/f": "f", "/app/l": "l", f"/app/{long}/f": "f", "/app/gone": "gone"}
    data = b"".join(pieces({place: str(tmp_path / name) for place, name in copies.items()}))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive}
        assert list(members) == ["app/d", "app/f", "app/l", f"app/{long}/f"]
        assert members["app/d"].isdir()
        assert (members["app/f"].size, members["app/f"].mode, members["app/f"].uid) == (300_000, 0o755, 0)
        assert members["app/l"].linkname == "f"
        assert archive.extractfile("app/f").read() == b"x" * 300_000  # type: ignore[union-attr]
