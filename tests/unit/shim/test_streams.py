"""Pipes for a process are made all or none."""

from __future__ import annotations

import os

import pytest

from runtime.shim import streams


def test_out_of_descriptors_no_pipe_is_left_open(monkeypatch):
    made = []
    pipe2 = os.pipe2

    def two_only(flags):
        if len(made) == 2:
            raise OSError(24, "too many open files")
        made.append(pipe2(flags))
        return made[-1]

    monkeypatch.setattr(os, "pipe2", two_only)
    with pytest.raises(OSError, match="too many"):
        streams.pipes(stdin=True)
    for fd in (fd for pipe in made for fd in pipe):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_our_sides_of_the_output_do_not_block_and_merged_output_has_one_pipe():
    ends = streams.pipes(stdin=False, merge=True)
    try:
        assert (ends.stdin, ends.stderr) == (None, None)
        assert ends.child[1] == ends.child[2]
        assert not os.get_blocking(ends.stdout)
    finally:
        ends.close_all()
