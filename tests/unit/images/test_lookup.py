from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.images import lookup

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layers(tmp_path: Path) -> list[str]:
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    for folder in (top / "etc", top / "over", bottom / "etc", bottom / "file", bottom / "deep" / "er"):
        folder.mkdir(parents=True)
    (bottom / "etc" / "passwd").write_text("")
    (top / "file").write_text("")
    (bottom / "over").write_text("")
    (bottom / "link").symlink_to("etc")
    return [str(top), str(bottom)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "dir"),
        ("/etc", "dir"),
        ("/etc/passwd", "file"),
        ("/etc/passwd/below", "file"),
        ("/file", "file"),
        ("/over", "dir"),
        ("/deep//er/", "dir"),
        ("/link/passwd", "link"),
        ("/nothing/at/all", ""),
    ],
)
def test_the_topmost_layer_that_has_the_name_decides(layers: list[str], path: str, found: str) -> None:
    assert lookup.kind(layers, path) == found


def test_an_opaque_directory_hides_what_lies_below(layers: list[str]) -> None:
    try:
        os.setxattr(f"{layers[0]}/etc", "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("the file system has no such attributes")
    assert lookup.kind(layers, "/etc/passwd") == ""
