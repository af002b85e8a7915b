"""Whatever the text, the front end answers with data or with one line: no traceback, no hang."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.build.dockerfile import contextref
from runtime.build.dockerfile.args import global_args, scope
from runtime.build.dockerfile.lexer import expand, expand_words
from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.stages import plan
from runtime.errors import InvalidParameter
from runtime.wire.ignorefile import BadPattern, Matcher
from runtime.wire.ignorefile import parse as parse_ignore

PIECES = (
    "FROM", "from", "scratch", "AS", "a", "b", "ARG", "ENV", "RUN", "COPY", "ADD", "CMD", "ENTRYPOINT", "LABEL", "EXPOSE",
    "VOLUME", "USER", "WORKDIR", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL", "MAINTAINER", "NONE", "--from=a",
    "--from=0", "--mount=type=cache,target=/x", "--mount=from=b,", "--chown=$x", "--interval=1s", "--platform=$TARGETPLATFORM",
    "<<EOF", "<<-'E F'", "EOF", "\nEOF\n", "$x", "${x", "${x:-", "${x//", "${x%%*", "}", "/", "=", "x=1", '"', "'", "\\", "`",
    "\\\n", "#", "# escape=`\n", "# check=error=true\n", '["a"]', "[", "]", "[1]", '["\\ud800"]', "80", "1-9999/tcp", ":", ",",
    " ", "\t", "\n", "\r\n", "\u00a0", "é", "\ud800", "\x00", "*", "?", "--", "1s", "..", "ß", "İ",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join)
LINES = st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map(" ".join), max_size=12).map("\n".join)
QUICK = settings(deadline=2000, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
AMD = "linux/amd64"


def build(text: str | bytes) -> None:
    problem = None
    try:
        dockerfile = parse(text)
        known = global_args(dockerfile, {"x": "v"}, AMD, AMD)
        for node in plan(known).nodes.values():
            here = scope(known)
            for instruction in node.instructions:
                here.evaluate(instruction)
    except DockerfileError as error:
        problem = error
    if problem:
        assert problem.message.startswith("Dockerfile")
        assert problem.line <= (text.count("\n") if isinstance(text, str) else text.count(b"\n")) + 1


@QUICK
@given(LINES.map(lambda body: f"FROM scratch AS a\n{body}") | TEXTS)
def test_no_text_breaks_the_front_end(text: str) -> None:
    build(text)


@QUICK
@given(st.binary(max_size=200).map(lambda body: b"FROM a\n" + body))
def test_no_bytes_do(data: bytes) -> None:
    build(data)


@QUICK
@given(TEXTS, st.sampled_from("\\`"))
def test_no_word_breaks_the_lexer(word: str, escape: str) -> None:
    values = {"x": "v*a/l\\ue", "a": ""}
    for function in (expand, expand_words):
        try:
            function(word, values.get, escape)
        except DockerfileError:
            pass


@QUICK
@given(st.text("ab/$.:@?#&=-[]%~ \x00git+htps", max_size=60))
def test_no_name_breaks_the_context_parser(text: str) -> None:
    for prefix in ("", "https://", "ssh://", "git@h:", "https://h/r.git?", "oci-layout://"):
        try:
            contextref.parse(prefix + text)
        except InvalidParameter:
            pass


@QUICK
@given(st.text("ab*?[]^-!\\/.#&~|\n ", max_size=40), st.text("ab/.*[", max_size=20))
def test_no_pattern_breaks_the_ignore_file(text: str, path: str) -> None:
    try:
        matcher = Matcher(parse_ignore(text))
    except BadPattern:
        return
    if matcher.prunes(path or "a"):
        assert matcher.matches(f"{path or 'a'}/below")
