"""Archives on their way into a container."""

from __future__ import annotations

from runtime.client import archive


def test_small_pieces_travel_in_frames_as_large_as_may_be() -> None:
    pieces = [bytes([number % 251]) * 700 for number in range(1000)]
    sent = list(archive._filled(pieces))
    assert b"".join(sent) == b"".join(pieces)
    assert [len(each) for each in sent] == [archive.PIECE, archive.PIECE, 1000 * 700 - 2 * archive.PIECE]


def test_a_piece_larger_than_a_frame_is_divided() -> None:
    sent = list(archive._filled([b"x" * (2 * archive.PIECE)]))
    assert [len(each) for each in sent] == [archive.PIECE, archive.PIECE]
