"""Lines to statements: directives, comments, continuations, here-documents and limits."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.statements import LARGEST, LONGEST_LINE, cut, heredoc_start


def rests(text: str) -> list[str]:
    return [statement.rest for statement in cut(text).statements]


@pytest.mark.parametrize(
    ("text", "escape"),
    [
        ("# escape=`\nA", "`"),
        ("#escape = `  \nA", "`"),
        ("# ESCAPE=`\nA", "`"),
        ("# syntax=x\n# escape=`\nA", "`"),
        ("\n# escape=`\nA", "\\"),
        ("# a comment\n# escape=`\nA", "\\"),
        ("# unknown=x\n# escape=`\nA", "\\"),
        ("A\n# escape=`", "\\"),
    ],
)
def test_directives_count_only_at_the_very_top(text: str, escape: str) -> None:
    assert cut(text).escape == escape


def test_syntax_and_check_are_read() -> None:
    source = cut("# syntax=docker/dockerfile:1 extra\n# check=skip=all\nA")
    assert (source.syntax, source.check) == ("docker/dockerfile:1", "skip=all")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("# escape=x\nA", "invalid escape token 'x'", 1),
        ("# escape=`\n# escape=`\nA", "only one escape parser directive", 2),
        ("", "file with no instructions", 1),
        ("# nothing\n\n", "file with no instructions", 2),
        ("A\nB \0", "NUL", 2),
        ("A\n" + "x" * (LONGEST_LINE + 1), "line greater than max allowed size", 2),
        ("A\nRUN <<EOF\nx\n", "unterminated heredoc", 2),
    ],
)
def test_a_broken_file_is_refused_with_the_line(text: str, message: str, line: int) -> None:
    with pytest.raises(DockerfileError) as caught:
        cut(text)
    assert message in caught.value.text
    assert caught.value.line == line


def test_a_file_beyond_all_reason_is_refused() -> None:
    with pytest.raises(DockerfileError, match="bytes"):
        cut(b"#\n" * (LARGEST // 2 + 1))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("RUN a \\\n b", "a  b"),
        ("RUN a \\  \n b", "a  b"),
        ("RUN a \\\n# c\n   # d\n\n \t\n b", "a  b"),
        ("RUN a \\\n b # c", "a  b # c"),
        ("RUN a \\", "a"),
        ("RUN a\\\\\nNEXT", "a\\\\"),
        ("\\\nRUN a", "a"),
        ("RUN a \\\r\n b\r\n", "a  b"),
        ("\ufeffRUN a", "a"),
        ("   RUN   a  ", "a"),
        ("# escape=`\nRUN a `\n b \\\nNEXT", "a  b \\"),
    ],
)
def test_lines_are_joined(text: str, rest: str) -> None:
    assert rests(text)[0] == rest


def test_a_comment_never_goes_on() -> None:
    assert [statement.keyword for statement in cut("# c \\\nRUN a\n").statements] == ["RUN"]


def test_an_empty_line_inside_an_instruction_is_a_warning() -> None:
    assert [warning.rule for warning in cut("RUN a \\\n\n b").warnings] == ["NoEmptyContinuation"]


def test_a_statement_knows_its_lines_and_text() -> None:
    position = cut("A\nRUN x \\\n # c\n <<EOF\nbody\nEOF\nB").statements[1].position
    assert (position.line, position.end_line) == (2, 6)
    assert position.text == "RUN x \\\n # c\n <<EOF\nbody\nEOF"


def test_flags_lose_their_quotes_and_end_at_the_first_plain_word() -> None:
    statement = cut('COPY --from=a "--chown=x y" --link -- --a b').statements[0]
    assert statement.flags == ("--from=a",)
    statement = cut('COPY --from="a b" --x=\\"  -- --a b').statements[0]
    assert statement.flags == ("--from=a b", '--x="')
    assert statement.rest == "--a b"


@pytest.mark.parametrize(
    ("word", "name", "expands", "strips"),
    [
        ("<<EOF", "EOF", True, False),
        ("<<-EOF", "EOF", True, True),
        ("<<'EOF'", "EOF", False, False),
        ('<<-"EOF"', "EOF", False, True),
        ("<<E'O'F", "EOF", False, False),
        ("<<\\EOF", "EOF", True, False),
        ("3<<EOF", "EOF", True, False),
        ("<< EOF", "EOF", True, False),
        ("<<$x", "$x", True, False),
    ],
)
def test_a_word_that_begins_a_here_document(word: str, name: str, expands: bool, strips: bool) -> None:
    found = heredoc_start(word)
    assert found is not None
    assert (found.name, found.expand, found.strip_tabs) == (name, expands, strips)


@pytest.mark.parametrize("word", ["<EOF", "<<", "<<<EOF", "a<<EOF", '"<<EOF"', "<<a b", ">>EOF"])
def test_a_word_that_does_not(word: str) -> None:
    assert heredoc_start(word) is None


def test_here_documents_come_in_order_and_keep_their_lines() -> None:
    statement = cut("COPY <<a <<-'b' /\n# 1 \\\n\n  x\na\n\t\ty\r\n\tb\nNEXT").statements[0]
    first, second = statement.heredocs
    assert first.content == "# 1 \\\n\n  x\n"
    assert (second.content, second.expand, second.strip_tabs) == ("y\r\n", False, True)
    assert statement.raw_heredocs == "\n# 1 \\\n\n  x\na\n\t\ty\r\nb"


@pytest.mark.parametrize(
    "text", ["CMD cat <<EOF\nX", 'RUN ["<<EOF"]\nX', "RUN echo 'x <<EOF\nX", "RUN echo $((1<<2))\nX"]
)
def test_what_looks_like_a_here_document_and_is_none(text: str) -> None:
    statements = cut(text).statements
    assert len(statements) == 2
    assert statements[0].heredocs == ()


def test_bytes_that_are_not_utf8_do_not_stop_the_build() -> None:
    assert cut(b"# caf\xe9\nRUN a").statements[0].rest == "a"
