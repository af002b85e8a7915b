"""A forked process gets its pages when it asks for them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from runtime.linux.ownpages import populate

SIZE = 16 << 20


def private() -> int:
    """Bytes of memory that no other process shares."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return sum(int(number) for number in re.findall(r"^Private_\w+: +(\d+) kB$", text, re.MULTILINE)) << 10


def test_what_was_shared_with_the_parent_is_copied() -> None:
    big = bytearray(SIZE)
    big[::4096] = b"x" * len(big[::4096])
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before = private()
            populate()
            os.write(writing, f"{private() - before}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as stream:
        assert int(stream.read()) >= SIZE
    assert big[0] == ord("x")
