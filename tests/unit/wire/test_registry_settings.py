"""What may stand in config.toml about registries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.wire import registries

if TYPE_CHECKING:
    from pathlib import Path


def test_the_users_file_adds_to_the_systems(tmp_path: Path) -> None:
    (tmp_path / "system").write_text('[registry."docker.io"]\nmirrors = ["https://m"]\ninsecure = false\n')
    (tmp_path / "user").write_text('[registry."docker.io"]\ninsecure = true\n[registry."x:5000"]\nca = "/ca.pem"\n')
    files = [str(tmp_path / name) for name in ("system", "missing", "user")]
    assert registries.read(files) == {
        "docker.io": {"mirrors": ["https://m"], "insecure": True},
        "x:5000": {"ca": "/ca.pem"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "c.toml: "),
        ("registry = 5", "not a table"),
        ('[registry]\n"x" = 5', "not a table"),
        ('[registry."x"]\ninsecure = "yes"', r'registry\."x"\.insecure: must be true or false'),
        ('[registry."x"]\nmirrors = "m"', "must be a list"),
        ('[registry."x"]\nca = 1', "must be a path"),
        ('[registry."x"]\nmirror = ["m"]', "unknown key; there are"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        registries.read([str(tmp_path / "c.toml")])


def test_the_users_file_lies_where_xdg_says() -> None:
    assert registries.user_file({"HOME": "/h"}) == "/h/.config/pycompose/config.toml"
    assert registries.user_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == "/x/pycompose/config.toml"
