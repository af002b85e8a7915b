"""Reads files of variables: the dialect of `.env` and `env_file`, and the `raw` one.

A value is looked up, in this order, in what the caller's `lookup` knows and in the keys already read. Lines are counted
as they are in the file, so that a message names the line the value began on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compose.errors import Problem, SourceMark, SyntaxProblem
from compose.loader.template import InvalidTemplate, TemplateError, substitute

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    Lookup = Callable[[str], str | None]
    Found = MutableMapping[str, str]

_SPACE = "\t\v\f\r \x85\xa0"
_ESCAPE = re.compile(r'\\([abcfnrtv$"\\]|0\d{0,3})')
_EXPORT = re.compile(r"export\s+")
_SPECIAL = {"'": re.compile(r"['\\]"), '"': re.compile(r'["\\]')}
_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\", "$": "$$",
}  # fmt: skip


def parse(text: str, file: str, lookup: Lookup, into: Found | None = None) -> Found:
    """The variables of a dotenv text, added to `into`. Raises SyntaxProblem with the line."""
    return _Parser(text.removeprefix("\ufeff"), file, lookup, {} if into is None else into).parse()


def parse_raw(text: str, file: str, lookup: Lookup, into: Found | None = None) -> Found:
    """The variables of a raw text: `KEY=VALUE` lines taken literally, `KEY` alone from `lookup`."""
    found = {} if into is None else into
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        key, assigned, value = line.partition("=")
        mark = SourceMark(file, number, 1)
        if not key:
            raise SyntaxProblem(Problem(f"no variable name on line '{line}'", mark=mark))
        if any(character in " \t" for character in key):
            raise SyntaxProblem(Problem(f"variable '{key}' contains whitespaces", mark=mark))
        if assigned:
            found[key] = value
        elif (inherited := lookup(key)) is not None:
            found[key] = inherited
    return found


PARSERS = {"": parse, ".env": parse, "raw": parse_raw}


class _Parser:
    def __init__(self, text: str, file: str, lookup: Lookup, found: Found) -> None:
        self.text = text
        self.file = file
        self.lookup = lookup
        self.found = found
        self.at = 0

    def parse(self) -> Found:
        while self._skip_to_statement():
            start = self.at
            key, inherited = self._key()
            if " " in key:
                raise self._problem(f'key cannot contain a space: "{key}"', start)
            if inherited:
                value = self.lookup(key)
                if value is not None:
                    self.found[key] = value
                continue
            self.found[key] = self._value(start)
        return self.found

    def _skip_to_statement(self) -> bool:
        text = self.text
        while self.at < len(text):
            character = text[self.at]
            if character == "#":
                newline = text.find("\n", self.at)
                if newline < 0:
                    return False
                self.at = newline
            elif not character.isspace():
                return True
            else:
                self.at += 1
        return False

    def _key(self) -> tuple[str, bool]:
        """The name at the cursor, and whether it stands alone (takes its value from outside)."""
        text = self.text
        export = _EXPORT.match(text, self.at)
        if export:
            self.at += len("export")
            while text[self.at : self.at + 1] and text[self.at] in _SPACE:
                self.at += 1
        start = self.at
        for index in range(start, len(text)):
            character = text[index]
            if character in "=:\n":
                self.at = index + 1
                while text[self.at : self.at + 1] and text[self.at] in _SPACE:
                    self.at += 1
                return text[start:index].rstrip(), character == "\n"
            if character not in _SPACE and character not in "_.-[]" and not character.isalnum():
                line = text[start:].split("\n", 1)[0]
                raise self._problem(f'unexpected character "{character}" in variable name "{line[:80]}"', index)
        # a last line without a newline is a name that stands alone (the reference loses it)
        self.at = len(text)
        return text[start:].rstrip(), True

    def _value(self, statement: int) -> str:
        text = self.text
        quote = text[self.at : self.at + 1]
        if quote and quote in "\"'":
            return self._quoted(quote, statement)
        newline = text.find("\n", self.at)
        end = newline if newline >= 0 else len(text)
        value = text[self.at : end].partition(" #")[0].rstrip()
        self.at = end + 1
        return self._expand(value, statement)

    def _quoted(self, quote: str, statement: int) -> str:
        text = self.text
        start = self.at
        index = start + 1
        parts: list[str] = []
        while index < len(text):
            special = _SPECIAL[quote].search(text, index)
            if special is None:
                break
            stop = special.start()
            parts.append(text[index:stop])
            if text[stop] == quote:
                self.at = stop + 1
                value = "".join(parts)
                return self._expand(_ESCAPE.sub(_escaped, value), statement) if quote == '"' else value
            following = text[stop + 1 : stop + 2]
            # only the quote can be escaped here; what other escapes mean is decided later
            parts.append(quote if following == quote else text[stop : stop + 2])
            index = stop + 2
        line = text[start:].split("\n", 1)[0]
        raise self._problem(f"unterminated quoted value {line[:80]}", start)

    def _expand(self, value: str, statement: int) -> str:
        if "$" not in value:
            return value

        def lookup(name: str) -> str | None:
            outside = self.lookup(name)
            return outside if outside is not None else self.found.get(name)

        try:
            return substitute(value, lookup)
        except InvalidTemplate as error:
            raise self._problem(f"invalid template: {error.message}", statement) from None
        except TemplateError as error:
            raise self._problem(error.message, statement) from None

    def _problem(self, message: str, offset: int) -> SyntaxProblem:
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        return SyntaxProblem(
            Problem(f"failed to read {self.file}: line {line}: {message}", mark=SourceMark(self.file, line, column))
        )


def _escaped(match: re.Match[str]) -> str:
    body = match.group(1)
    if body[0] == "0":
        digits = body[1:]
        # the reference hands `\NNN` to Go, which takes exactly three octal digits up to 377; else the zero alone is lost
        if len(digits) == 3 and all(digit in "01234567" for digit in digits) and int(digits, 8) < 256:
            return chr(int(digits, 8))
        return f"\\{digits}"
    return _ESCAPES.get(body, match.group())
