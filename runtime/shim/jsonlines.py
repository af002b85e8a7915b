"""Turn a byte stream into json-file log records, a block at a time.

Pure. One C-level replace per block makes a million lines a second; json.dumps per line makes a tenth of that.
"""

from __future__ import annotations

from json.encoder import encode_basestring

LIMIT = 16 * 1024
"""Bytes of a line in one record; a longer line becomes partial records without the trailing newline."""

_HEAD = b'{"log":"'
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\') + b"\n"
# Stands for the newline while the block is escaped, for the encoder passes both through. DEL keeps the text one byte
# wide; where the text has DEL itself, a lone surrogate serves: decoded text cannot hold one.
_DEL, _SURROGATE = "\x7f", "\udc80"


class Formatter:
    """The record maker of one stream (`stdout` or `stderr`); holds back an unfinished line of less than 16 KiB."""

    __slots__ = ("_after", "_carry")

    def __init__(self, stream: str) -> None:
        self._after = f'","stream":"{stream}","time":"'.encode()
        self._carry = b""

    def feed(self, data: bytes, time: str) -> bytes:
        """Records of the lines that `data` completes, all with the one `time`; empty when there is none."""
        if self._carry:
            data = self._carry + data
        tail = self._after + time.encode() + b'"}\n'
        out: list[bytes] = []
        start = position = 0
        while len(data) - position >= LIMIT:
            newline = data.rfind(b"\n", position, position + LIMIT)
            if newline >= 0:
                position = newline + 1
                continue
            if position > start:
                out.append(_lines(data[start:position], tail))
            start = _boundary(data, position + LIMIT)
            out.append(_partial(data[position:start], tail))
            position = start
        end = data.rfind(b"\n", position) + 1 or position
        if end > start:
            out.append(_lines(data[start:end], tail))
        self._carry = data[end:]
        return b"".join(out)

    def finish(self, time: str) -> bytes:
        """The record of a last line without newline; empty when there is none."""
        carry, self._carry = self._carry, b""
        return _partial(carry, self._after + time.encode() + b'"}\n') if carry else b""


def _lines(block: bytes, tail: bytes) -> bytes:
    """Whole lines, the last one ending with the newline."""
    end = b"\\n" + tail
    if not block.translate(None, _PLAIN):
        return _HEAD + block[:-1].replace(b"\n", end + _HEAD) + end
    text = block[:-1].decode("utf-8", "replace")
    mark = _SURROGATE if _DEL in text else _DEL
    escaped = encode_basestring(text.replace("\n", mark))
    between = (end + _HEAD).decode()
    return _HEAD + escaped[1:-1].replace(mark, between).encode() + end


def _partial(piece: bytes, tail: bytes) -> bytes:
    return _HEAD + encode_basestring(piece.decode("utf-8", "replace"))[1:-1].encode() + tail


def _boundary(data: bytes, end: int) -> int:
    """`end`, or up to three bytes less so that no UTF-8 character is torn."""
    for back in (1, 2, 3):
        byte = data[end - back]
        if byte < 0x80:
            return end
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return end - back if wanted > back else end
    return end
