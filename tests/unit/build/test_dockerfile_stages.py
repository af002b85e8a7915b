"""Stages: which are needed, what a `from` means, and what cannot be."""

from __future__ import annotations

import time

import pytest

from runtime.build.dockerfile import model
from runtime.build.dockerfile.args import global_args
from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.problem import DockerfileError
from runtime.build.dockerfile.stages import Origin, StageGraph, plan

AMD = "linux/amd64"


def graph(text: str, target: str = "", **more: object) -> StageGraph:
    return plan(global_args(parse(text), {}, AMD, AMD, target), target, **more)  # type: ignore[arg-type]


BUILD = """\
FROM debian AS base
FROM base AS deps
RUN x
FROM base AS unused
RUN x
FROM alpine AS tools
FROM scratch AS out
COPY --from=deps /a /a
COPY --from=3 /b /b
COPY --from=busybox /c /c
RUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c x
FROM base AS test
"""


def test_only_what_the_target_needs_is_in_the_graph() -> None:
    found = graph(BUILD, "out")
    assert sorted(found.nodes) == [0, 1, 3, 4]
    assert found.target == 4
    assert found.nodes[4].needs == {1, 3}
    assert found.nodes[4].base == Origin("scratch")
    assert found.nodes[4].origins == {
        "deps": Origin("stage", "deps", 1),
        "3": Origin("stage", "3", 3),
        "busybox": Origin("image", "busybox"),
        "tools": Origin("stage", "tools", 3),
    }
    assert found.nodes[1].base == Origin("stage", "base", 0)
    assert found.nodes[0].base == Origin("image", "debian")


def test_the_last_stage_is_the_target_unless_one_is_named() -> None:
    assert sorted(graph(BUILD).nodes) == [0, 5]
    assert graph(BUILD, "DEPS").target == 1


def test_a_target_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DockerfileError) as caught:
        graph(BUILD, "tool")
    assert str(caught.value) == 'Dockerfile: target stage "tool" could not be found (did you mean tools?)'


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("FROM x AS a\nCOPY --from=a x y", "circular dependency detected on stage: a", 2),
        ("FROM x AS a\nCOPY --from=0 x y", "circular dependency detected on stage: a", 2),
        (
            "FROM x AS a\nRUN y\nCOPY --from=b x y\nFROM x AS b\nCOPY --from=a x y\nFROM x",
            "circular dependency detected on stage: a (a needs b needs a)",
            3,
        ),
        (
            "FROM x AS a\nCOPY --from=b x y\nFROM a AS b",
            'cannot copy from stage "b", it needs to be defined before current stage "a"',
            2,
        ),
        (
            "FROM x\nRUN --mount=from=b,target=/y z\nFROM x AS b\nFROM 0",
            None,
            0,
        ),
        ("FROM x AS a\nRUN --mount=from=b,target=/y z\nFROM a AS b", 'cannot mount from stage "b"', 2),
        ("FROM x AS a\nCOPY --from=5 x y", "invalid stage index 5", 2),
        ("FROM x AS a\nCOPY --from=-1 x y", "invalid stage index -1", 2),
    ],
)
def test_a_stage_that_cannot_be_used_there_is_refused(text: str, message: str | None, line: int) -> None:
    if message is None:  # nobody needs the stage with the mistake, so nobody says so
        graph(text)
        return
    with pytest.raises(DockerfileError) as caught:
        graph(text)
    assert message in caught.value.text
    assert caught.value.line == line


def test_a_later_stage_of_the_same_name_is_the_one_meant_from_there_on() -> None:
    assert graph("FROM x AS a\nFROM y AS a\nFROM a").nodes[2].base == Origin("stage", "a", 1)
    assert graph("FROM a\nFROM y AS a\nFROM x").nodes.keys() == {2}
    assert graph("FROM a AS b\nFROM y AS a\nFROM b").nodes[0].base == Origin("image", "a")


def test_the_name_of_a_base_is_exact_and_that_of_a_copy_is_not() -> None:
    assert graph("FROM x AS Abc\nFROM ABC").nodes[1].base == Origin("image", "ABC")
    assert graph("FROM x AS Abc\nFROM y\nCOPY --from=ABC a b").nodes[1].origins["ABC"].stage == 0


def test_a_number_is_an_image_for_a_mount() -> None:
    found = graph("FROM x\nFROM y\nRUN --mount=from=0,target=/t z")
    assert found.nodes[1].origins == {"0": Origin("image", "0")}


@pytest.mark.parametrize("name", ["debian", "docker.io/library/debian", "debian:latest"])
def test_a_named_context_stands_in_for_an_image(name: str) -> None:
    found = graph(f"FROM {name} AS a\nFROM scratch\nCOPY --from=a x y\nCOPY --from=src x y", contexts={"debian", "src"})
    assert found.nodes[0].base == Origin("context", "debian")
    assert found.nodes[1].origins["src"] == Origin("context", "src")


def test_a_named_context_stands_in_for_a_stage() -> None:
    found = graph(BUILD, "deps", contexts={"base", "scratch"})
    assert found.nodes[0].base == Origin("context", "base")
    assert found.nodes[0].instructions == ()
    replaced = graph(BUILD, "out", contexts={"deps"})
    assert sorted(replaced.nodes) == [1, 3, 4]
    assert replaced.nodes[1].instructions == ()


def test_triggers_of_a_base_come_first_in_the_stage_that_uses_it() -> None:
    found = graph("FROM x AS a\nONBUILD COPY --from=t c d\nFROM y AS t\nFROM a AS b\nRUN z\nFROM b")
    copy, run = found.nodes[2].instructions
    assert isinstance(copy, model.Copy)
    assert isinstance(run, model.Run)
    assert copy.position.line == 4
    assert found.nodes[2].needs == {0, 1}
    assert found.nodes[3].instructions == ()


def test_triggers_of_an_image_are_planned_when_they_are_known() -> None:
    text = "FROM y AS t\nFROM x AS a\nRUN z"
    assert sorted(graph(text).nodes) == [1]
    found = graph(text, triggers={1: ["COPY --from=t a b", "RUN <<EOF\nx\nEOF"]})
    assert [type(item) for item in found.nodes[1].instructions] == [model.Copy, model.Run, model.Run]
    assert sorted(found.nodes) == [0, 1]


def test_an_image_that_looks_like_a_stage_gets_a_hint() -> None:
    assert graph(BUILD, "out").near("dep") == " (did you mean deps?)"
    assert graph(BUILD, "out").near("postgres") == ""


def test_thousands_of_stages_are_no_burden() -> None:
    lines = ["FROM x AS s0"]
    for number in range(1, 3000):
        lines += [f"FROM s{number - 1} AS s{number}", f"COPY --from=s{number // 2} a b"]
    started = time.monotonic()
    assert len(graph("\n".join(lines)).nodes) == 3000
    assert time.monotonic() - started < 5
