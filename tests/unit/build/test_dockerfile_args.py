"""Whose variables are seen where; measured on BuildKit (tests/peer/build asks it again)."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import model
from runtime.build.dockerfile.args import DEFAULT_PATH, global_args, proxy_environment, scope
from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.problem import DockerfileError
from tests.kit.imageconfig import evaluate

AMD = "linux/amd64"


def environment(text: str, target: str = "", **given: str) -> dict[str, str]:
    pairs = dict(item.partition("=")[::2] for item in evaluate(text, given, target)["Env"])
    assert pairs.pop("PATH") == DEFAULT_PATH
    return pairs


@pytest.mark.parametrize(
    ("text", "given", "found"),
    [
        (
            "ARG V=1\nFROM scratch\nENV A=$V\nARG V\nENV B=$V\nARG V=2\nENV C=$V",
            {},
            {"A": "", "B": "1", "C": "2"},
        ),
        ("ARG V=1\nFROM scratch\nARG V\nENV B=$V\nARG V=2\nENV C=$V", {"V": "9"}, {"B": "9", "C": "9"}),
        ("ARG V=1\nARG W=$V-x\nFROM scratch\nARG W V\nENV B=$W$V", {"V": "5"}, {"B": "5-x5"}),
        ("FROM scratch\nENV A=env\nARG A=arg\nENV B=$A\nENV A=two\nENV C=$A", {}, {"A": "two", "B": "arg", "C": "two"}),
        ("FROM scratch\nENV A=env\nARG A\nENV B=$A", {}, {"A": "env", "B": "env"}),
        ("FROM scratch\nENV A=env\nARG A\nENV B=$A", {"A": "given"}, {"A": "env", "B": "given"}),
        ("FROM scratch\nENV a=1\nENV a=2 b=$a\nENV c=$a$b", {}, {"a": "2", "b": "1", "c": "21"}),
        ("FROM scratch\nARG a=1 b=$a c=${b}2\nENV d=$a$b$c", {}, {"d": "1112"}),
        ("FROM scratch\nARG K=key\nENV $K=v", {}, {"key": "v"}),
        ("FROM scratch\nENV A=$V", {"V": "given but not declared"}, {"A": ""}),
        ("FROM scratch\nENV B=$HTTP_PROXY", {"HTTP_PROXY": "http://p"}, {"B": ""}),
        ("FROM scratch AS x\nARG A=1\nENV E=$A\nFROM x\nENV B=$A-$E", {}, {"E": "1", "B": "1-1"}),
        ("FROM scratch AS x\nARG A=1\nENV A=env\nARG A=2\nFROM x\nENV B=$A", {}, {"A": "env", "B": "env"}),
        ("FROM scratch\nARG TARGETARCH=foo\nENV A=$TARGETARCH", {}, {"A": "foo"}),
        ("FROM scratch\nENV A=.$TARGETARCH", {}, {"A": "."}),
        ("FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH", {"TARGETARCH": "zz"}, {"A": "zz"}),
    ],
)
def test_a_variable_is_seen_from_its_declaration_on(text: str, given: dict[str, str], found: dict[str, str]) -> None:
    assert environment(text, **given) == found


def test_the_platforms_are_predefined() -> None:
    names = "TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT TARGETSTAGE"
    dockerfile = parse(f"FROM --platform=$BUILDPLATFORM scratch AS last\nARG {names}\n")
    known = global_args(dockerfile, {}, AMD, "linux/arm/v7")
    assert known.base(dockerfile.stages[0]) == ("scratch", AMD)
    here = scope(known)
    here.evaluate(dockerfile.stages[0].instructions[0])
    assert [here.arguments[name] for name in names.split()] == [
        "linux/arm/v7", "linux", "arm", "v7", AMD, "linux", "amd64", "", "last",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "given", "found"),
    [
        ("$B", {}, "debian"),
        ("${B}:${V:-12}", {}, "debian:12"),
        ("${B}:${V:-12}", {"B": "alpine"}, "alpine:12"),
        ('"$B"', {}, "debian"),
    ],
)
def test_from_sees_what_was_declared_before_it(base: str, given: dict[str, str], found: str) -> None:
    dockerfile = parse(f"ARG B=debian\nFROM {base}\n")
    assert global_args(dockerfile, given, AMD, AMD).base(dockerfile.stages[0]) == (found, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FROM $NONE", "base name ($NONE) should not be blank"),
        ("FROM $BSAE", "base name ($BSAE) should not be blank (did you mean BASE?)"),
        ("FROM --platform=$BUILDPLATFROM x", "(did you mean BUILDPLATFORM?)"),
        ("FROM ${B", "missing '}'"),
    ],
)
def test_a_base_that_comes_to_nothing_names_the_line(line: str, message: str) -> None:
    dockerfile = parse(f"ARG BASE=x\n{line}\n")
    with pytest.raises(DockerfileError) as caught:
        global_args(dockerfile, {}, AMD, AMD).base(dockerfile.stages[0])
    assert message in caught.value.text
    assert caught.value.line == 2


def test_the_images_own_environment_comes_first_and_path_is_never_missing() -> None:
    dockerfile = parse("FROM x\nENV A=$A:$B\n")
    here = scope(global_args(dockerfile, {}, AMD, AMD), ["A=1", "PATH=/bin", "B=b=c"])
    here.evaluate(dockerfile.stages[0].instructions[0])
    assert here.image == {"A": "1:b=c", "PATH": "/bin", "B": "b=c"}
    assert scope(global_args(dockerfile, {}, AMD, AMD), ["A=1"]).environment["PATH"] == DEFAULT_PATH


def test_build_arguments_are_for_run_and_not_for_the_image() -> None:
    dockerfile = parse("FROM x\nARG A=1 B\nENV C=3\n")
    here = scope(global_args(dockerfile, {}, AMD, AMD))
    declared, _ = map(here.evaluate, dockerfile.stages[0].instructions)
    assert isinstance(declared, model.ArgInstruction)
    assert here.declared(declared) == [("A", "1"), ("B", None)]
    assert here.run_arguments() == [("A", "1"), ("B", "")]
    assert here.environment == {"PATH": DEFAULT_PATH, "A": "1", "C": "3"}
    assert "A" not in here.image


def test_proxies_need_no_declaration() -> None:
    given = {"http_proxy": "h", "No_Proxy": "n", "OTHER": "x"}
    assert proxy_environment(given) == {"HTTP_PROXY": "h", "http_proxy": "h", "NO_PROXY": "n", "no_proxy": "n"}


def test_an_undefined_variable_is_a_warning_with_the_nearest_name() -> None:
    dockerfile = parse("FROM x\nARG UNSET\nENV VERSION=1\nENV A=$VERSON B=$UNSET\n")
    here = scope(global_args(dockerfile, {}, AMD, AMD))
    for instruction in dockerfile.stages[0].instructions:
        here.evaluate(instruction)
    assert [(warning.line, warning.message) for warning in here.warnings] == [
        (4, "Usage of undefined variable '$VERSON' (did you mean VERSION?)")
    ]


@pytest.mark.parametrize("line", ["ENV A=${B:?gone}", "ARG A=${B:?gone}", "RUN --mount=type=cache,target=${B:?gone} x"])
def test_an_expansion_that_fails_names_file_and_line(line: str) -> None:
    dockerfile = parse(f"FROM x\n\n{line}\n", "sub/Dockerfile")
    with pytest.raises(DockerfileError, match=r"^sub/Dockerfile:3: failed to process .*: B: gone$"):
        scope(global_args(dockerfile, {}, AMD, AMD)).evaluate(dockerfile.stages[0].instructions[0])
