"""Split the text of an instruction into words, quotes kept: what they mean is decided at expansion (lexer.py).

BuildKit has three splitters, and which one an instruction uses decides what a quote or an escape does in it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from runtime.build.dockerfile.problem import DockerfileError

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace says yes to (Python's str.isspace has four control characters more)."""
_SPACE = frozenset(SPACES)
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_PLAIN = re.compile(r"[^'\"\\` \t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def is_space(char: str) -> bool:
    """Whether Go counts the character as a space."""
    return char in _SPACE


def blanks(text: str, most: int = 0) -> list[str]:
    """The words between blanks, quotes meaning nothing; at most `most` + 1 of them if that is not 0."""
    return _BLANKS.split(text, maxsplit=most)


def quoted_words(text: str, escape: str) -> list[str]:
    """The words of ENV, LABEL and ARG: blanks inside quotes or after an escape do not part; all characters are kept."""
    words: list[str] = []
    at, size = 0, len(text)
    while True:
        while at < size and text[at] in _SPACE:
            at += 1
        if at == size:
            return words
        word, at = _one_word(text, at, escape)
        if word:
            words.append(word)


def _one_word(text: str, at: int, escape: str) -> tuple[str, int]:
    """(the word that starts at `at`, where it ends)."""
    parts: list[str] = []
    quote = ""
    size = len(text)
    while at < size:
        plain = _PLAIN.match(text, at)
        if plain:
            parts.append(plain[0])
            at = plain.end()
            continue
        char = text[at]
        if not quote and char in _SPACE:
            break
        at += 1
        if char == escape and quote != "'":
            if at == size:  # an escape at the very end is dropped
                break
            parts.append(char + text[at])
            at += 1
            continue
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
        parts.append(char)
    return "".join(parts), at


def split_flags(text: str, escape: str) -> tuple[list[str], str]:
    """(the leading `--…` words without their quotes, the rest); `--` alone ends the flags."""
    flags: list[str] = []
    at, size = 0, len(text)
    while True:
        while at < size and text[at] in _SPACE:
            at += 1
        if not text.startswith("--", at):
            return flags, text[at:]
        word: list[str] = []
        quote = ""
        while at < size and (quote or text[at] not in _SPACE):
            char = text[at]
            at += 1
            if char == escape:
                if at < size:
                    word.append(text[at])
                    at += 1
            elif char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            else:
                word.append(char)
        if word == ["-", "-"]:
            return flags, text[at:]
        flags.append("".join(word))


def json_array(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None if the text is not one, and then it is meant for a shell.

    Raises DockerfileError for an array with anything but strings in it, as BuildKit does.
    """
    text = text.lstrip(SPACES)
    if not text.startswith("["):
        return None
    try:
        found: Any = json.loads(text, parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    if not all(isinstance(item, str) for item in found):
        raise DockerfileError("when using JSON array syntax, arrays must be comprised of strings only")
    return tuple(_without_surrogates(item) for item in found)


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _without_surrogates(text: str) -> str:
    """Half a surrogate pair (`\\ud800`) cannot be written anywhere; Go puts U+FFFD in its place."""
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
