"""Messages and descriptors over SEQPACKET, short and long."""

from __future__ import annotations

import os

import pytest

from runtime.wire import seqpacket


@pytest.fixture
def pair():
    left, right = seqpacket.pair()
    with left, right:
        yield left, right


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_a_message_arrives_with_its_descriptors_in_order(pair):
    left, right = pair
    pipes = [os.pipe() for _ in range(3)]
    seqpacket.send(left, {"type": "x", "n": 1}, [write for _, write in pipes])
    message, fds = seqpacket.recv(right)
    assert message == {"type": "x", "n": 1}
    for number, fd in enumerate(fds):
        assert not os.get_inheritable(fd)
        os.write(fd, b"%d" % number)
    assert [os.read(read, 9) for read, _ in pipes] == [b"0", b"1", b"2"]
    seqpacket.close_all([fd for pipe in pipes for fd in pipe] + fds)


def test_a_message_of_a_megabyte_travels_as_a_memfd_beside_the_descriptors(pair):
    left, right = pair
    before = open_descriptors()
    read, write = os.pipe()
    seqpacket.send(left, {"spec": "ä" * 500_000}, [write])
    message, fds = seqpacket.recv(right)
    assert message == {"spec": "ä" * 500_000}
    assert len(fds) == 1
    seqpacket.close_all([read, write, *fds])
    assert open_descriptors() == before


def test_the_largest_number_of_descriptors_goes_through_with_a_memfd(pair):
    left, right = pair
    fds = [os.dup(2) for _ in range(seqpacket.MAX_FDS)]
    seqpacket.send(left, {"spec": "x" * 100_000}, fds)
    _, got = seqpacket.recv(right)
    assert len(got) == seqpacket.MAX_FDS
    with pytest.raises(ValueError, match="at most"):
        seqpacket.send(left, {}, [*fds, 2])
    seqpacket.close_all(fds + got)


def test_a_closed_peer_is_end_of_file(pair):
    left, right = pair
    left.close()
    with pytest.raises(EOFError):
        seqpacket.recv(right)


@pytest.mark.parametrize("payload", [b"not json", b"[1]", b"@"])
def test_a_malformed_message_is_refused_and_its_descriptors_closed(pair, payload):
    left, right = pair
    left.send(payload)
    before = open_descriptors()
    with pytest.raises(ValueError):
        seqpacket.recv(right)
    assert open_descriptors() == before


def test_an_oversized_inline_message_is_refused(pair):
    left, right = pair
    left.send(b'{"a":"' + b"x" * seqpacket.INLINE_LIMIT + b'"}')
    with pytest.raises(ValueError, match="truncated"):
        seqpacket.recv(right)


def test_nothing_to_read_is_said_at_once_when_non_blocking(pair):
    _, right = pair
    right.setblocking(False)
    with pytest.raises(BlockingIOError):
        seqpacket.recv(right)
