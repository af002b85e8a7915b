"""The keys that leave an attached terminal: `ctrl-p,ctrl-q` unless the user says otherwise.

A sequence is withheld while it may still become the whole; what turns out to be something else goes on as it was typed.
"""

from __future__ import annotations

from typing import Final

from runtime.errors import InvalidParameter

DEFAULT: Final = "ctrl-p,ctrl-q"
_CONTROLS: Final = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse(text: str) -> bytes:
    """The bytes of keys given as single characters or `ctrl-X`, separated by commas. Raises InvalidParameter."""
    keys = bytearray()
    for part in text.split(","):
        name = part.removeprefix("ctrl-") if part.startswith("ctrl-") else ""
        if name and len(name) == 1 and name in _CONTROLS:
            keys.append(_CONTROLS.index(name))
        elif len(part) == 1 and part.isascii():
            keys += part.encode()
        else:
            raise InvalidParameter(f"detach keys {text}: {part!r} is neither a character nor ctrl- and a letter")
    return bytes(keys)


class Filter:
    """Takes what is typed and gives what to pass on; `found` once the whole sequence came."""

    __slots__ = ("_keys", "_matched", "found")

    def __init__(self, keys: bytes) -> None:
        """No keys: everything is passed on."""
        self._keys = keys
        self._matched = 0
        self.found = False

    def feed(self, data: bytes) -> bytes:
        """What of `data`, and of what was withheld, is meant for the process."""
        if not self._keys:
            return data
        out = bytearray()
        for byte in data:
            if byte != self._keys[self._matched] and self._matched:
                out += self._keys[: self._matched]
                self._matched = 0
            if byte != self._keys[self._matched]:
                out.append(byte)
                continue
            self._matched += 1
            if self._matched == len(self._keys):
                self.found = True
                break
        return bytes(out)
