"""Instructions: each form that is accepted, and the message of each that is not."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import model
from runtime.build.dockerfile.model import Exec, Shell
from runtime.build.dockerfile.parser import parse, parse_trigger
from runtime.build.dockerfile.problem import DockerfileError

SECOND = 10**9


def one(text: str) -> model.Instruction:
    """The only instruction of a stage."""
    (instruction,) = parse(f"FROM scratch\n{text}\n").stages[0].instructions
    return instruction


def fields(text: str) -> dict[str, object]:
    found = one(text)
    return {
        name: getattr(found, name) for kind in type(found).__mro__[:-1] for name in kind.__slots__ if name != "position"
    }


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV k  v  w", (("k", "v  w"),)),
        ("ENV k\tv", (("k", "v"),)),
        (
            "ENV a=1 b= c=\"3 4\" d='5 6' e=7\\ 8",
            (("a", "1"), ("b", ""), ("c", '"3 4"'), ("d", "'5 6'"), ("e", "7\\ 8")),
        ),
        ("ENV a=b=c", (("a", "b=c"),)),
        ('LABEL "a b"=c x=', (('"a b"', "c"), ("x", ""))),
        ("LABEL a b c", (("a", "b c"),)),
    ],
)
def test_pairs_keep_their_quotes(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert fields(text)["pairs"] == pairs


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("CMD", Shell("")),
        ("CMD []", Exec(())),
        ('CMD ["a", "b c"]', Exec(("a", "b c"))),
        ('CMD ["\\u00e9\\ud800"]', Exec(("é\ufffd",))),
        ("CMD ['a']", Shell("['a']")),
        ('CMD ["a"', Shell('["a"')),
        ('CMD ["a"] # c', Shell('["a"] # c')),
        ("CMD [NaN]", Shell("[NaN]")),
        ("CMD " + "[" * 5000, Shell("[" * 5000)),
        ('CMD  echo   $A  "b"', Shell('echo   $A  "b"')),
        ('ENTRYPOINT ["x"]', Exec(("x",))),
        ("RUN a && b", Shell("a && b")),
    ],
)
def test_a_command_is_json_or_else_for_the_shell(text: str, command: model.Command) -> None:
    assert fields(text)["command"] == command


def test_a_run_that_is_only_a_here_document_is_a_script() -> None:
    run = one("RUN --network=none <<-EOF\n\tset -e\n\techo $x\n\tEOF")
    assert isinstance(run, model.Run)
    assert run.script is not None
    assert run.script.content == "set -e\necho $x\n"
    assert (run.network, run.command) == ("none", Shell("<<-EOF"))


def test_here_documents_of_any_other_run_are_left_to_the_shell() -> None:
    run = one("RUN cat <<-A <<B > /x\n\ta\n\tA\nb\nB")
    assert isinstance(run, model.Run)
    assert run.script is None
    assert run.command == Shell("cat <<-A <<B > /x\n\ta\nA\nb\nB")


def test_mounts_wait_for_their_variables() -> None:
    run = one("RUN --mount=type=cache,target=$T --mount=from=x,target=/y true")
    assert isinstance(run, model.Run)
    assert run.mount_flags == ("type=cache,target=$T", "from=x,target=/y")
    assert (run.mount_sources, run.mounts) == (("", "x"), ())


def test_copy_has_all_its_flags() -> None:
    copy = one("COPY --from=b --chown=a:b --chmod=0644 --link --parents=true --exclude=*.o --exclude=x a b /c/")
    assert isinstance(copy, model.Copy)
    assert (copy.sources, copy.destination, copy.from_) == (("a", "b"), "/c/", "b")
    assert (copy.chown, copy.chmod, copy.link, copy.parents) == ("a:b", "0644", True, True)
    assert copy.exclude == ("*.o", "x")
    assert fields('COPY ["a b", "c"]')["sources"] == ("a b",)
    assert fields("COPY --link=false a b")["link"] is False


def test_add_has_all_its_flags() -> None:
    add = one("ADD --keep-git-dir --checksum=sha256:1 --unpack=false --exclude=x https://h/x.tar /c")
    assert isinstance(add, model.Add)
    assert (add.keep_git_dir, add.checksum, add.unpack) == (True, "sha256:1", False)
    plain = one("ADD a b")
    assert isinstance(plain, model.Add)
    assert (plain.keep_git_dir, plain.unpack) == (None, None)


def test_copy_makes_files_of_here_documents() -> None:
    copy = one("COPY a <<x <<'y' /d/\n1\nx\n2\ny")
    assert isinstance(copy, model.Copy)
    assert copy.sources == ("a",)
    assert [(doc.name, doc.content, doc.expand) for doc in copy.heredocs] == [("x", "1\n", True), ("y", "2\n", False)]


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("HEALTHCHECK NONE", ("NONE",)),
        ("HEALTHCHECK CMD a b", ("CMD-SHELL", "a b")),
        ('healthcheck cmd ["a", "b"]', ("CMD", "a", "b")),
    ],
)
def test_health_checks(text: str, test: tuple[str, ...]) -> None:
    assert fields(text)["test"] == test


def test_a_health_check_counts_in_nanoseconds() -> None:
    given = fields(
        "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=1.5s --start-interval=2ms --retries=3 CMD a"
    )
    assert (given["interval"], given["timeout"], given["start_period"]) == (5 * SECOND, 90 * SECOND, 3 * SECOND // 2)
    assert (given["start_interval"], given["retries"]) == (2_000_000, 3)


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ('ONBUILD RUN  echo   "x" $Y', 'RUN  echo   "x" $Y'),
        ("onbuild copy --from=x a b", "copy --from=x a b"),
        ("ONBUILD RUN a \\\n b", "RUN a  b"),
        ("ONBUILD RUN <<EOF\n a\nEOF", "RUN <<EOF\n a\nEOF"),
    ],
)
def test_a_trigger_is_the_text_that_comes_back(text: str, trigger: str) -> None:
    assert fields(text)["trigger"] == trigger


def test_a_trigger_is_read_where_it_is_used() -> None:
    position = model.Position(3, 3, "FROM x")
    run = parse_trigger("RUN <<EOF\n a\nEOF", position)
    assert isinstance(run, model.Run)
    assert run.script is not None
    assert run.position is position
    for bad in ("FROM x", "A\nB", "", "FOO x"):
        with pytest.raises(DockerfileError, match=r"^Dockerfile:3: ONBUILD"):
            parse_trigger(bad, position)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("EXPOSE 90 80/udp", "ports", ("80/udp", "90")),
        ("VOLUME /a  /b", "paths", ("/a", "/b")),
        ('VOLUME ["/a b"]', "paths", ("/a b",)),
        ("USER  a b ", "user", "a b"),
        ('WORKDIR "c d"', "path", '"c d"'),
        ("STOPSIGNAL $S", "signal", "$S"),
        ('MAINTAINER a "b"', "name", 'a "b"'),
        ('SHELL ["/x", "-y"]', "shell", ("/x", "-y")),
    ],
)
def test_the_simple_ones(text: str, name: str, value: object) -> None:
    assert fields(text)[name] == value


def test_arguments_may_share_a_line() -> None:
    dockerfile = parse("ARG a=1 b\nFROM scratch\nARG c='x y' d=\n")
    assert [(arg.name, arg.default) for arg in dockerfile.meta_args] == [("a", "1"), ("b", None)]
    (instruction,) = dockerfile.stages[0].instructions
    assert isinstance(instruction, model.ArgInstruction)
    assert [(arg.name, arg.default) for arg in instruction.args] == [("c", "'x y'"), ("d", "")]


def test_stages_have_number_name_base_and_platform() -> None:
    first, second = parse("from --platform=$BUILDPLATFORM a:$V as Base.x-1\nRUN x\nFROM base.x-1\n").stages
    assert (first.index, first.name, first.base, first.platform) == (0, "base.x-1", "a:$V", "$BUILDPLATFORM")
    assert (second.index, second.name, second.line, second.instructions) == (1, "", 3, ())


REFUSED = [
    ("FOO bar", "unknown instruction: FOO"),
    ("RUNN x", "unknown instruction: RUNN (did you mean RUN?)"),
    ("CPOY a b", "unknown instruction: CPOY (did you mean COPY?)"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV a", "ENV must have two arguments"),
    ("ENV =1", "ENV names can not be blank"),
    ("ENV a=1 b", 'can\'t find = in "b"'),
    ("LABEL a", "LABEL must have two arguments"),
    ("ARG", "ARG requires at least one argument"),
    ("ARG =x", "ARG names can not be blank"),
    ('CMD ["a", 1]', "arrays must be comprised of strings only"),
    ("CMD [null]", "arrays must be comprised of strings only"),
    ("ONBUILD CMD [1]", "arrays must be comprised of strings only"),
    ("SHELL", "SHELL requires at least one argument"),
    ("SHELL []", "SHELL requires at least one argument"),
    ("SHELL bash -c", "SHELL requires the arguments to be in JSON form"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ('VOLUME ["", "/c"]', "VOLUME specified can not be an empty string"),
    ("USER", "USER requires exactly one argument"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("MAINTAINER", "MAINTAINER requires exactly one argument"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD ENV a", "ENV must have two arguments"),
    ("ONBUILD --x RUN y", "unknown flag: --x"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK X a", 'Unknown type "X" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK --interval=5 CMD a", 'missing unit in duration "5"'),
    ("HEALTHCHECK --interval=5y CMD a", 'unknown unit "y" in duration "5y"'),
    ("HEALTHCHECK --interval=1us CMD a", "cannot be less than 1ms"),
    ("HEALTHCHECK --interval=-5s CMD a", "cannot be less than 1ms"),
    ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
    ("HEALTHCHECK --retries=x CMD a", '--retries "x" is not a number'),
    ("HEALTHCHECK --intervall=1s CMD a", "unknown flag: --intervall (did you mean interval?)"),
    ("COPY a", "COPY requires at least two arguments, but only one was provided"),
    ("COPY --form=x a b", "unknown flag: --form (did you mean from?)"),
    ("COPY --link=x a b", "expecting boolean value for flag --link, not: x"),
    ("COPY --link= a b", "missing a value on flag: --link"),
    ("COPY --from a b", "missing a value on flag: --from"),
    ("COPY --chown=1 --chown=2 a b", "duplicate flag specified: --chown"),
    ("COPY --from=$A a b", "variable expansion is not supported for --from"),
    ("COPY a <<EOF\nEOF", "COPY cannot accept a heredoc as a destination"),
    ("COPY <<../x /y\n../x", 'cannot be called "../x"'),
    ("ADD --checksumm=1 x y", "unknown flag: --checksumm (did you mean checksum?)"),
    ("RUN --foo x", "unknown flag: --foo"),
    ("RUN --network=nonee x", 'invalid network mode "nonee" (did you mean none?)'),
    ("RUN --security=x x", 'invalid security mode "x"'),
    ("RUN --mount=from=$A,target=/x x", "'from' doesn't support variable expansion"),
    ("CMD --foo a", "unknown flag: --foo"),
    ("FROM", "FROM requires either one or three arguments"),
    ("FROM a b", "FROM requires either one or three arguments"),
    ("FROM a AS 1a", 'invalid name for build stage: "1a"'),
    ("FROM a AS b/c", 'invalid name for build stage: "b/c"'),
    ("FROM --foo=x a", "unknown flag: --foo"),
    ("RUN <<EOF\nx", "unterminated heredoc"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_mistake_is_named_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(f"FROM scratch\n# comment\n{text}\n", "app/Dockerfile")
    assert str(caught.value).startswith("app/Dockerfile:3: ")
    assert message in caught.value.text
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["ARG --foo a", "CMD -- --foo a", "ONBUILD FOO x", "env a=1", "RUN"])
def test_what_buildkit_lets_pass_passes(text: str) -> None:
    one(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Dockerfile:1: file with no instructions"),
        ("# x\n", "Dockerfile:1: file with no instructions"),
        ("ARG a\n", "Dockerfile: dockerfile contains no stages to build"),
        ("RUN x\nFROM a\n", "Dockerfile:1: no build stage in current context"),
    ],
)
def test_a_file_without_a_stage_builds_nothing(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert str(caught.value) == message
