"""Dockerfile instructions on an image configuration."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.images.changes import apply


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ('CMD ["sleep", "9"]', "Cmd", ["sleep", "9"]),
        ("cmd sleep 9", "Cmd", ["/bin/sh", "-c", "sleep 9"]),
        ('ENTRYPOINT ["/x"]', "Entrypoint", ["/x"]),
        ("USER app:wheel", "User", "app:wheel"),
        ("STOPSIGNAL SIGINT", "StopSignal", "SIGINT"),
        ("EXPOSE 80 53/udp 8000-8001", "ExposedPorts", {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}),
        ('VOLUME ["/a b", "/c"]', "Volumes", {"/a b": {}, "/c": {}}),
        ("VOLUME /a /c", "Volumes", {"/a": {}, "/c": {}}),
        ('LABEL a=1 b="two words"', "Labels", {"a": "1", "b": "two words"}),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        (
            "HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f http://x",
            "Healthcheck",
            {"Interval": 90 * 10**9, "Retries": 2, "Test": ["CMD-SHELL", "curl -f http://x"]},
        ),
        ('HEALTHCHECK --timeout=500ms CMD ["true"]', "Healthcheck", {"Timeout": 500_000_000, "Test": ["CMD", "true"]}),
    ],
)
def test_an_instruction_sets_its_field(change: str, key: str, value: object) -> None:
    assert apply({}, [change]) == {key: value}


def test_env_replaces_by_name_and_keeps_the_rest() -> None:
    config = apply({"Env": ["A=1", "B=2"]}, ["ENV A=x C='y z'", "ENV D long value"])
    assert config["Env"] == ["A=x", "B=2", "C=y z", "D=long value"]


def test_workdir_is_relative_to_the_one_before() -> None:
    assert apply({}, ["WORKDIR /a", "WORKDIR b", "WORKDIR ../c"])["WorkingDir"] == "/a/c"
    assert apply({}, ["WORKDIR ../../x"])["WorkingDir"] == "/x"


def test_the_given_configuration_stays_as_it_was() -> None:
    config = {"Labels": {"a": "1"}}
    apply(config, ["LABEL b=2"])
    assert config == {"Labels": {"a": "1"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN x", "not one of"),
        ("CMD", "argument is missing"),
        ("EXPOSE 70000", "invalid port '70000'"),
        ("EXPOSE a", "invalid port"),
        ("ENV A", "two arguments"),
        ("LABEL a='x", "no closing quotation"),
        ("HEALTHCHECK --interval=5x CMD true", "invalid duration"),
        ("HEALTHCHECK true", "CMD or NONE"),
    ],
)
def test_a_wrong_instruction_is_named(change: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        apply({}, [change])
