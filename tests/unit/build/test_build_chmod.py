"""--chmod of COPY and ADD: octal and symbolic."""

from __future__ import annotations

import pytest

from runtime.build import chmod
from runtime.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "old", "directory", "expected"),
    [
        ("755", 0o600, False, 0o755),
        ("4755", 0o600, False, 0o4755),
        ("0", 0o777, False, 0),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, True, 0o755),
        ("u=rwX,go=rX", 0o711, False, 0o755),
        ("a+x", 0o644, False, 0o755),
        ("+x", 0o644, False, 0o755),
        ("go-w", 0o666, False, 0o644),
        ("g=u", 0o640, False, 0o660),
        ("u+s", 0o755, False, 0o4755),
        ("+t", 0o777, True, 0o1777),
        ("u-x+w", 0o500, False, 0o600),
        ("g=", 0o2770, True, 0o2700),
    ],
)
def test_a_mode_is_changed_as_chmod_changes_it(text: str, old: int, directory: bool, expected: int) -> None:
    change = chmod.reader(text)
    assert change is not None
    assert change(old, directory) == expected


def test_no_text_changes_nothing() -> None:
    assert chmod.reader("") is None


@pytest.mark.parametrize("text", ["8", "77777", "u", "u=q", "rwx", "u=r;g=r", "-1"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid chmod parameter"):
        chmod.reader(text)
