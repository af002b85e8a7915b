"""What instructions do to an image's configuration and history."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.build import imageconfig
from runtime.build.dockerfile.args import DEFAULT_PATH
from runtime.build.dockerfile.parser import parse
from runtime.build.export import fill_times


def applied(*lines: str, image: imageconfig.ImageConfig | None = None) -> imageconfig.ImageConfig:
    """The configuration after instructions that need no evaluation."""
    made = image or imageconfig.empty("amd64")
    for item in parse("\n".join(["FROM scratch", *lines])).stages[0].instructions:
        assert made.apply(item), item
    return made


def texts(image: imageconfig.ImageConfig) -> list[str]:
    return [entry["created_by"] for entry in image.history]


def test_commands_are_wrapped_in_the_shell_of_the_stage() -> None:
    made = applied('SHELL ["/bin/bash", "-c"]', "CMD echo hi", 'ENTRYPOINT ["/bin/x", "a b"]')
    assert made.config["Cmd"] == ["/bin/bash", "-c", "echo hi"]
    assert made.config["Entrypoint"] == ["/bin/x", "a b"]
    assert texts(made) == [
        "SHELL [/bin/bash -c]",
        'CMD ["/bin/bash" "-c" "echo hi"]',
        'ENTRYPOINT ["/bin/x" "a b"]',
    ]


def test_an_entry_point_takes_back_a_command_that_came_from_the_base() -> None:
    base = imageconfig.of_image({"architecture": "amd64", "config": {"Cmd": ["base"]}})
    assert "Cmd" not in applied('ENTRYPOINT ["x"]', image=base).config
    own = imageconfig.of_image({"architecture": "amd64", "config": {"Cmd": ["base"]}})
    assert applied('CMD ["own"]', 'ENTRYPOINT ["x"]', image=own).config["Cmd"] == ["own"]


def test_variables_keep_their_place_and_get_a_path() -> None:
    made = imageconfig.of_image({"architecture": "amd64", "config": {"Env": ["A=1", "B=2"]}})
    made.set_env("A", "3")
    assert made.config["Env"] == ["A=3", "B=2", f"PATH={DEFAULT_PATH}"]


def test_ports_volumes_labels_and_signals_add_up() -> None:
    made = applied("EXPOSE 80/tcp 53/udp", "VOLUME /a /b", "LABEL x=1", "LABEL y=2", "STOPSIGNAL SIGINT", "USER joe")
    assert made.config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert made.config["Volumes"] == {"/a": {}, "/b": {}}
    assert made.config["Labels"] == {"x": "1", "y": "2"}
    assert (made.config["StopSignal"], made.config["User"]) == ("SIGINT", "joe")
    assert texts(made)[:2] == ["EXPOSE map[53/udp:{} 80/tcp:{}]", "VOLUME [/a /b]"]


def test_a_health_check_is_told_as_go_prints_the_structure() -> None:
    made = applied("HEALTHCHECK --interval=5s --timeout=1m30s --retries=2 CMD curl x")
    assert made.config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl x"],
        "Interval": 5_000_000_000,
        "Timeout": 90_000_000_000,
        "Retries": 2,
    }
    assert texts(made) == [r"""HEALTHCHECK &{["CMD-SHELL" "curl x"] "5s" "1m30s" "0s" "0s" '\x02'}"""]


def test_what_starts_from_an_image_leaves_its_triggers_and_times_behind() -> None:
    made = imageconfig.of_image(
        {
            "architecture": "amd64",
            "created": "2020-01-01T00:00:00Z",
            "config": {"OnBuild": ["RUN x"], "Env": ["PATH=/p"]},
            "history": [{"created_by": "base"}],
            "rootfs": {"diff_ids": ["sha256:1"]},
        }
    )
    assert made.config == {"Env": ["PATH=/p"]}
    assert made.document == {"architecture": "amd64", "config": made.config}
    assert texts(made) == ["base"]


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (300_000_000, "300ms"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_durations_are_gos(nanoseconds: int, expected: str) -> None:
    assert imageconfig.go_duration(nanoseconds) == expected


def test_strings_are_quoted_as_go_quotes_them() -> None:
    assert imageconfig.go_quote('a"b\\c\n\x01é\u200b') == r'"a\"b\\c\n\x01é\u200b"'


def test_run_names_the_arguments_in_scope_before_its_words() -> None:
    assert imageconfig.run_text(["/bin/sh", "-c", "x"], [("A", "1"), ("B", "")]) == "RUN |2 A=1 B= /bin/sh -c x"
    assert imageconfig.run_text(["x"], []) == "RUN x"


def test_entries_without_a_time_get_that_of_the_layer_before_or_of_the_first_new_one() -> None:
    history: list[dict[str, Any]] = [
        {"created": "base"},
        {"created_by": "ENV"},
        {"created": "one"},
        {"created_by": "CMD"},
        {"created": "two"},
    ]
    fill_times(history)
    assert [entry["created"] for entry in history] == ["base", "one", "one", "one", "two"]
