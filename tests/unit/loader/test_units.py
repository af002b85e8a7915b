"""Durations, sizes, command lines and numbers read and print as the reference's."""

from __future__ import annotations

import pytest

from compose.loader.scalars import resolve
from compose.loader.units import parse_duration, parse_size, split_command
from compose.model.formats import float32, format_duration, go_float


@pytest.mark.parametrize(
    ("text", "nanoseconds", "printed"),
    [
        ("0", 0, "0s"),
        ("1h30m", 5_400_000_000_000, "1h30m0s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        ("1d2h", 93_600_000_000_000, "26h0m0s"),
        ("1us", 1000, "1µs"),
        ("100ms", 100_000_000, "100ms"),
        ("-5s", -5_000_000_000, "-5s"),
    ],
)
def test_durations(text: str, nanoseconds: int, printed: str) -> None:
    assert parse_duration(text) == nanoseconds
    assert format_duration(nanoseconds) == printed


@pytest.mark.parametrize("text", ["", "5", "5x", "s", "1h5", "106752d", "1..5s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("64k", 65536), ("1.5g", 1610612736), ("2 MB", 2097152), ("1KiB", 1024), ("10b", 10)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "lots", "5x", "5kk", "-5", "9e99g"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("a  b\tc", ("a", "b", "c")),
        ("a 'b c' \"d e\"", ("a", "b c", "d e")),
        ('a "" b', ("a", "", "b")),
        (r"a\ b \"c", ("a b", '"c')),
        ("echo a; b", ("echo", "a")),
        ("", ()),
    ],
)
def test_command_lines_are_split_without_a_shell(line: str, arguments: tuple[str, ...]) -> None:
    assert split_command(line) == arguments


@pytest.mark.parametrize("line", ["a 'b", "a (b)", "a \\"])
def test_an_unfinished_command_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="invalid command line string"):
        split_command(line)


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", "yes"), ("on", "on"), ("22:22", "22:22"), ("true", True), ("010", 8), ("0o17", 15), ("1_000", 1000),
     ("08", 8.0), ("1e3", 1000.0), ("~", None), ("", None), (".5", 0.5), ("0x1F", 31), ("a", "a"), ("-", "-")],
)  # fmt: skip
def test_plain_scalars_are_typed_as_yaml_1_2_nearly(text: str, value: object) -> None:
    found = resolve(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1"), (1000.0, "1000"), (1e6, "1e+06"), (1.5, "1.5"), (1e-5, "1e-05"), (0.0001, "0.0001"), (-0.0, "-0")],
)
def test_floats_print_as_go_prints_them(number: float, text: str) -> None:
    assert go_float(number) == text


def test_single_precision_keeps_the_shortest_decimal() -> None:
    assert float32(0.1) == 0.1
    assert float32(0.3333333333) == 0.33333334
