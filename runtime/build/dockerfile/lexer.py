"""Expand variables and take off quotes the way BuildKit's shell lexer does, which is not quite the way a shell does.

No recursion in the input is trusted: `ENV a=$a$a` thirty times would be a gigabyte, so the result has a limit, and so has
the nesting of `${a:-${b:-…}}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.substitution import replace, trim
from runtime.build.dockerfile.words import is_space

Lookup: TypeAlias = Callable[[str], str | None]
"""The value of a variable, None when it is not set."""

LONGEST = 1 << 20
"""Characters of an expanded word (the kernel takes no environment string above 128 KiB)."""
DEEPEST = 64
_SPECIAL = frozenset("@*#?-$!0")
_CONDITIONS = frozenset("+-?")
_PLAIN = re.compile(r"[^$<'\"\\`}/]+")


def expand(word: str, lookup: Lookup, escape: str = "\\") -> str:
    """The word with its variables expanded and its quotes and escapes taken off; blanks stay.

    Raises DockerfileError (without a line) for a bad substitution, an open quote, or `${x:?message}` of an unset one.
    """
    if not _needs_work(word, escape):
        return word
    return _Lexer(word, lookup, escape).whole()[0]


def expand_words(word: str, lookup: Lookup, escape: str = "\\") -> list[str]:
    """The same, split at blanks outside quotes after the variables were put in. Raises DockerfileError."""
    return _Lexer(word, lookup, escape).whole()[1]


def expand_text(text: str, lookup: Lookup) -> str:
    """The content of a here-document: variables and backslashes, but quotes are plain characters. Raises DockerfileError."""
    return _Lexer(text, lookup, "\\", quotes=False).whole()[0]


def raw_words(text: str, *, keep_quotes: bool, keep_escapes: bool) -> list[str]:
    """Words split as a shell would, with no variable known: what looks for `<<EOF` in a line. Raises DockerfileError."""
    lexer = _Lexer(text, _nothing, "\\", keep_quotes=keep_quotes, keep_escapes=keep_escapes, keep_unset=True)
    return lexer.whole()[1]


def _nothing(_name: str) -> None:
    return None


def _needs_work(word: str, escape: str) -> bool:
    return any(char in word for char in ("$", "'", '"', escape, "<"))


class _Words:
    """Collects words: blanks part them, unless they were quoted or escaped."""

    __slots__ = ("_parts", "found")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.found: list[str] = []

    def loose(self, text: str) -> None:
        """Text whose blanks part words (a variable's value, or a plain character)."""
        for char in text:
            if is_space(char):
                self.end()
            else:
                self._parts.append(char)

    def solid(self, text: str) -> None:
        self._parts.append(text)

    def end(self) -> None:
        word = "".join(self._parts)
        self._parts.clear()
        if word:
            self.found.append(word)


class _Lexer:
    """One word being read: a cursor over it and the choices of the caller."""

    __slots__ = (
        "_at",
        "_depth",
        "_escape",
        "_keep_quotes",
        "_keep_unset",
        "_lookup",
        "_made",
        "_quotes",
        "_raw",
        "_text",
    )

    def __init__(
        self,
        text: str,
        lookup: Lookup,
        escape: str,
        *,
        quotes: bool = True,
        keep_quotes: bool = False,
        keep_escapes: bool = False,
        keep_unset: bool = False,
    ) -> None:
        self._text = text
        self._lookup = lookup
        self._escape = escape
        self._quotes = quotes
        self._keep_quotes = keep_quotes
        self._keep_unset = keep_unset
        self._raw = keep_escapes
        self._at = 0
        self._depth = 0
        self._made = 0

    def whole(self) -> tuple[str, list[str]]:
        try:
            return self._until("", self._raw)
        except DockerfileError as error:
            shown = self._text if len(self._text) <= 200 else f"{self._text[:200]}…"
            quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
            raise DockerfileError(f'failed to process "{quoted}": {error.text}') from None

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        return char

    def _until(self, stop: str, raw: bool) -> tuple[str, list[str]]:
        """Read up to the stop character (taken too), or the end when there is none; `raw` keeps escape characters."""
        before, self._raw = self._raw, raw
        self._depth += 1
        if self._depth > DEEPEST:
            raise DockerfileError(f"more than {DEEPEST} substitutions inside one another")
        out: list[str] = []
        words = _Words()
        while char := self._peek():
            if stop and char == stop:
                self._at += 1
                break
            if char == "$":
                value = self._dollar()
                words.loose(value)
            elif char == "<":
                value = self._angle()
                words.solid(value)
            elif char in "'\"" and self._quotes:
                value = self._single() if char == "'" else self._double()
                words.solid(value)
            elif char == self._escape:
                value = self._escaped()
                words.solid(value)
            else:
                plain = _PLAIN.match(self._text, self._at)
                value = plain[0] if plain else char
                self._at += len(value)
                words.loose(value)
            out.append(value)
        else:
            if stop:
                raise DockerfileError(f"unexpected end of statement while looking for matching {stop}")
        words.end()
        self._raw = before
        self._depth -= 1
        return "".join(out), words.found

    def _escaped(self) -> str:
        mark = self._next()
        return (mark if self._raw else "") + self._next()

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise DockerfileError("unexpected end of statement while looking for matching single-quote")
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        return f"'{inside}'" if self._keep_quotes else inside

    def _double(self) -> str:
        self._at += 1
        out: list[str] = []
        while char := self._peek():
            if char == '"':
                self._at += 1
                inside = "".join(out)
                return f'"{inside}"' if self._keep_quotes else inside
            if char == "$":
                out.append(self._dollar())
                continue
            self._at += 1
            if char == self._escape:
                if self._raw:
                    out.append(char)
                following = self._peek()
                if not following:
                    break
                if following in ('"', "$", self._escape):
                    char = self._next()
            out.append(char)
        raise DockerfileError("unexpected end of statement while looking for matching double-quote")

    def _angle(self) -> str:
        """`<<` keeps the blanks after it, so that `<< EOF` is one word."""
        self._at += 1
        if self._peek() != "<":
            return "<"
        start = self._at
        self._at += 1
        while self._peek() and self._peek() in "\t\r ":
            self._at += 1
        return "<" + self._text[start : self._at]

    def _dollar(self) -> str:
        value = self._substitution()
        self._made += len(value)
        if self._made > LONGEST:
            raise DockerfileError(f"the result has more than {LONGEST} characters")
        return value

    def _substitution(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._lookup(name)
            if value is None:
                return f"${name}" if self._keep_unset else ""
            return value
        self._at += 1
        first = self._peek()
        if not first:
            raise DockerfileError("syntax error: missing '}'")
        if first in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        name = self._name()
        mark = self._next()
        if mark == "}":
            value = self._lookup(name)
            if value is None:
                return f"${{{name}}}" if self._keep_unset else ""
            return value
        if mark == "/":
            return self._replaced(name)
        return self._modified(name, mark)

    def _modified(self, name: str, mark: str) -> str:
        """`${name-word}` and its like; a colon makes an empty value count as unset."""
        empty_too = mark == ":"
        operator = self._next() if empty_too else mark
        shown = f":{operator}" if empty_too else operator
        trims = operator in ("#", "%") and operator != ""
        if not operator or (trims and empty_too) or (operator not in _CONDITIONS and not trims):
            raise DockerfileError(
                f"unsupported modifier ({shown}) in substitution" if operator else "syntax error: missing '}'"
            )
        word = self._part("}", trims, "syntax error: missing '}'")
        value = self._lookup(name)
        if value is None and self._keep_unset:
            return f"${{{name}{shown}{word}}}"
        missing = value is None or (empty_too and not value)
        if operator == "-":
            return word if missing else value or ""
        if operator == "+":
            return "" if missing else word
        if operator == "?":
            if not missing:
                return value or ""
            state = "unset" if value is None else "empty"
            raise DockerfileError(f"{name}: {word or f'is not allowed to be {state}'}")
        longest = word.startswith(operator)
        return trim(value or "", word[1:] if longest else word, end=operator == "%", longest=longest)

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        self._at += everywhere
        pattern = self._part("/", True, "syntax error: missing '/' in ${}")
        replacement = self._part("}", True, "syntax error: missing '}'")
        value = self._lookup(name)
        if value is None and self._keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return replace(value or "", pattern, replacement, everywhere=everywhere)

    def _part(self, stop: str, raw: bool, missing: str) -> str:
        try:
            return self._until(stop, raw)[0]
        except DockerfileError:
            if self._peek():
                raise
            raise DockerfileError(missing) from None

    def _name(self) -> str:
        """A name, digits only, or one special character; empty if none stands here."""
        start = self._at
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif first in _SPECIAL:
            self._at += 1
        else:
            while (char := self._peek()) and (char.isalpha() or char.isdecimal() or char == "_"):
                self._at += 1
        return self._text[start : self._at]
