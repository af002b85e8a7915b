"""The keys that leave an attached terminal."""

from __future__ import annotations

import pytest

from runtime.client import detachkeys
from runtime.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "keys"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-@", b"\0"), ("ctrl-\\,x", b"\x1cx"), ("ctrl-_", b"\x1f")],
)
def test_keys_are_characters_and_controls(text: str, keys: bytes) -> None:
    assert detachkeys.parse(text) == keys


@pytest.mark.parametrize("text", ["", "foo", "ctrl-", "ctrl-pp", "a,,b", "ctrl-P"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        detachkeys.parse(text)


def test_the_whole_sequence_is_found_across_reads_and_nothing_of_it_passes() -> None:
    keys = detachkeys.Filter(b"\x10\x11")
    assert keys.feed(b"ls\r\x10") == b"ls\r"
    assert not keys.found
    assert keys.feed(b"\x11rest") == b""
    assert keys.found


def test_a_beginning_that_turns_out_to_be_something_else_passes_as_typed() -> None:
    keys = detachkeys.Filter(b"\x10\x11")
    assert keys.feed(b"\x10") == b""
    assert keys.feed(b"\x10a\x11") == b"\x10\x10a\x11"
    assert not keys.found
    assert detachkeys.Filter(b"").feed(b"\x10\x11") == b"\x10\x11"
