"""Frames survive any way the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.wire import frames

FRAMES = st.lists(st.tuples(st.integers(0, frames.STARTED), st.binary(max_size=200)), max_size=8)


@given(FRAMES, st.integers(1, 17))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(sent, step):
    stream = b"".join(frames.encode(kind, payload) for kind, payload in sent)
    decoder = frames.Decoder()
    got = [frame for start in range(0, len(stream), step) for frame in decoder.feed(stream[start : start + step])]
    assert got == sent
    assert decoder.pending == 0


def test_a_frame_is_type_then_big_endian_length_then_payload():
    assert frames.encode(frames.STDOUT, b"abc") == b"\x01\x00\x00\x00\x03abc"


def test_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="type 99"):
        frames.Decoder().feed(b"\x63\x00\x00\x00\x00")


def test_a_frame_above_the_limit_is_refused_before_its_payload_is_buffered():
    with pytest.raises(ValueError, match="above"):
        frames.Decoder().feed(b"\x01\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="above"):
        frames.encode(frames.STDOUT, bytes(frames.MAX_PAYLOAD + 1))
