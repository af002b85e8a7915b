"""Cut the text of a Dockerfile into statements: directives, comments, continued lines and here-documents.

What is joined here is all that lines mean; from here on an instruction is one text. A comment or an empty line inside a
continued instruction is skipped, and only the first line of an instruction loses its leading blanks, as in BuildKit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.build.dockerfile.lexer import raw_words
from runtime.build.dockerfile.model import Heredoc, LintWarning, Position
from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.words import SPACES, blanks, json_array, split_flags

LONGEST_LINE = 65535
"""Bytes of one physical line, BuildKit's limit."""
LARGEST = 8 << 20
"""Bytes of a whole file; BuildKit's own transport ends at 16 MiB."""
_DIRECTIVE = re.compile(rf"#[{SPACES}]*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]*)\Z")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_HEREDOC_HOMES = frozenset({"run", "copy", "add"})
_CONTINUED = {
    "\\": re.compile(r"(?:(?<=[^\\])|^)\\[ \t]*\Z"),
    "`": re.compile(r"(?:(?<=[^`])|^)`[ \t]*\Z"),
}
"""An escape at the end of a line, unless the character before it is one too."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction's text: `keyword` as written, its flags, the rest, and the whole joined line."""

    keyword: str
    flags: tuple[str, ...]
    rest: str
    joined: str
    position: Position
    heredocs: tuple[Heredoc, ...] = ()
    raw_heredocs: str = ""


@dataclass(slots=True)
class Source:
    """A file cut into statements, with what its directives said."""

    syntax: str
    escape: str
    check: str
    statements: list[Statement]
    warnings: list[LintWarning]


def heredoc_start(word: str) -> Heredoc | None:
    """The here-document (still empty) that a word like `<<-"EOF"` begins, None for any other word."""
    match = _HEREDOC.match(word)
    if match is None or not match[3]:
        return None
    words = raw_words(match[3], keep_quotes=False, keep_escapes=False)
    if len(words) != 1:
        return None
    quoted = raw_words(match[3], keep_quotes=True, keep_escapes=False)[0]
    return Heredoc(
        name=words[0],
        content="",
        expand=_quotes(words[0]) == _quotes(quoted),
        strip_tabs=bool(match[2]),
        fd=int(match[1][:9] or 0),
    )


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')


def cut(data: bytes | str) -> Source:
    """The statements of a file. Raises DockerfileError, with the line."""
    return _Cutter(data).run()


class _Cutter:
    """A cursor over physical lines."""

    __slots__ = ("_at", "_directives", "_lines", "_seen", "_source")

    def __init__(self, data: bytes | str) -> None:
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        if len(data) > LARGEST:
            raise DockerfileError(f"the file has more than {LARGEST} bytes")
        lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        for number, line in enumerate(lines, 1):
            if len(line) > LONGEST_LINE:
                raise DockerfileError(f"dockerfile line greater than max allowed size of {LONGEST_LINE}", number)
            if b"\0" in line:
                raise DockerfileError("the line holds a NUL byte", number)
        if lines[-1] == b"":
            lines.pop()
        # A byte that is not UTF-8 can stand in a comment of an old file; it must not stop the build.
        self._lines = [line.decode("utf-8", "replace") for line in lines]
        self._at = 0
        self._directives = True
        self._seen: set[str] = set()
        self._source = Source("", "\\", "", [], [])

    def run(self) -> Source:
        while self._at < len(self._lines):
            self._step()
        if not self._source.statements:
            raise DockerfileError("file with no instructions", max(len(self._lines), 1))
        return self._source

    def _step(self) -> None:
        """Read a directive, a comment, an empty line or a whole statement."""
        text = self._line().lstrip(SPACES)
        start = self._at
        self._directive(text)
        if text.startswith("#"):
            return
        piece, continued = self._unescaped(text)
        if not continued and not piece:
            return
        pieces = [piece]
        empty = False
        while continued and self._at < len(self._lines):
            text = self._line()
            stripped = text.lstrip(SPACES)
            if stripped.startswith("#"):
                continue
            if not stripped:
                empty = True
                continue
            piece, continued = self._unescaped(text)
            pieces.append(piece)
        if empty:
            self._source.warnings.append(LintWarning("NoEmptyContinuation", "Empty continuation line", self._at))
        try:
            self._statement("".join(pieces), start)
        except DockerfileError as error:
            raise error.at(start, error.file) from None

    def _line(self) -> str:
        line = self._lines[self._at]
        self._at += 1
        return line.rstrip("\r")

    def _directive(self, text: str) -> None:
        """Directives end at the first line that is none."""
        if not self._directives:
            return
        match = _DIRECTIVE.match(text)
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES:
            self._directives = False
            return
        if name in self._seen:
            raise DockerfileError(f"only one {name} parser directive can be used", self._at)
        self._seen.add(name)
        value = match[2]
        if name == "escape":
            if value not in _CONTINUED:
                raise DockerfileError(f"invalid escape token '{value}' does not match ` or \\", self._at)
            self._source.escape = value
        elif name == "syntax":
            self._source.syntax = value.split(" ", 1)[0]
        else:
            self._source.check = value

    def _unescaped(self, text: str) -> tuple[str, bool]:
        """(the line without its continuation mark, whether it had one)."""
        match = _CONTINUED[self._source.escape].search(text)
        return (text[: match.start()], True) if match else (text, False)

    def _statement(self, joined: str, start: int) -> None:
        escape = self._source.escape
        keyword, flags, rest = split_statement(joined, escape)
        heredocs: list[Heredoc] = []
        raw: list[str] = []
        if "<<" in joined and _may_hold_heredocs(keyword, rest, escape):
            for begun in _begun(joined):
                content = self._content(begun, start)
                raw.append(f"\n{content}{begun.name}")
                if begun.strip_tabs:
                    content = _LEADING_TABS.sub("", content)
                heredocs.append(Heredoc(begun.name, content, begun.expand, begun.strip_tabs, begun.fd))
        text = "\n".join(self._lines[start - 1 : self._at])
        position = Position(start, self._at, text)
        statement = Statement(keyword, tuple(flags), rest, joined, position, tuple(heredocs), "".join(raw))
        self._source.statements.append(statement)

    def _content(self, begun: Heredoc, start: int) -> str:
        """The lines up to the end word, with their line ends."""
        content: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            end = line.rstrip("\r")
            if (end.lstrip("\t") if begun.strip_tabs else end) == begun.name:
                return "".join(content)
            content.append(f"{line}\n")
        raise DockerfileError("unterminated heredoc", start)


def split_statement(joined: str, escape: str) -> tuple[str, list[str], str]:
    """(keyword, flags, the rest) of one joined line."""
    keyword, *arguments = blanks(joined.strip(SPACES), 1)
    if not arguments:
        return keyword, [], ""
    flags, rest = split_flags(arguments[0], escape)
    return keyword, flags, rest.strip(SPACES)


def _may_hold_heredocs(keyword: str, rest: str, escape: str) -> bool:
    """Only RUN, COPY and ADD do, also after ONBUILD; not in their JSON form."""
    if keyword.lower() == "onbuild":
        keyword, _, rest = split_statement(rest, escape)
    return keyword.lower() in _HEREDOC_HOMES and json_array(rest) is None


def _begun(joined: str) -> list[Heredoc]:
    """The here-documents that a line begins, in order."""
    try:
        words = raw_words(joined, keep_quotes=True, keep_escapes=True)
    except DockerfileError:  # quotes that only a shell understands: then nothing is taken for a here-document
        return []
    return [begun for word in words if (begun := heredoc_start(word))]
