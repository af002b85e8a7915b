"""Help looks as Compose's does, and shows an example of every command."""

from __future__ import annotations

import pytest

from compose.cli.app import COMMANDS, GROUPS

PATHS = ["", *COMMANDS, *GROUPS, *(f"{group} {name}" for group, (_, commands) in GROUPS.items() for name in commands)]


@pytest.mark.parametrize("path", PATHS)
def test_help_has_usage_words_and_an_example_that_can_be_parsed(pycompose, engine, capsys, path: str) -> None:
    assert pycompose(*path.split(), "--help").code == 0
    shown = capsys.readouterr().out
    name = f"pycompose {path}".strip()
    usage, words, *_ = shown.split("\n\n")
    assert usage.startswith(f"Usage:  {name}")
    assert words.strip()
    _, _, examples = shown.partition("\nExamples:\n")
    lines = [line.strip() for line in examples.partition("\n\n")[0].splitlines()]
    assert lines, f"{name}: no example in compose/cli/examples.py"
    assert all(name in line for line in lines), lines
    assert max(map(len, shown.splitlines())) <= 120
    assert engine.requests == []


@pytest.mark.parametrize(
    ("path", "usage"),
    [
        ("up", "[OPTIONS] [SERVICE...]"),
        ("exec", "[OPTIONS] SERVICE COMMAND [ARGS...]"),
        ("top", "[SERVICES...]"),
        ("pause", "[SERVICE...]"),
        ("port", "[OPTIONS] SERVICE PRIVATE_PORT"),
        ("ls", "[OPTIONS]"),
        ("image", "COMMAND"),
    ],
)
def test_usage_is_what_compose_prints(pycompose, capsys, path: str, usage: str) -> None:
    pycompose(path, "--help")
    assert capsys.readouterr().out.splitlines()[0] == f"Usage:  pycompose {path} {usage}"


def test_options_stand_in_columns_with_type_and_default(pycompose, capsys) -> None:
    pycompose("logs", "--help")
    shown = capsys.readouterr().out.splitlines()
    assert "  -f, --follow          Follow log output" in shown
    tail = next(place for place, line in enumerate(shown) if line.startswith("  -n, --tail string     Number of lines"))
    assert shown[tail + 1].startswith(" " * 24)
    assert '(default "all")' in " ".join(shown[tail : tail + 3])


def test_an_unknown_command_shows_the_help_too(pycompose) -> None:
    assert "Run 'pycompose COMMAND --help' for more information on a command." in pycompose("nosuch").out


def test_flags_in_examples_exist(pycompose, capsys) -> None:
    from compose.cli.examples import EXAMPLES

    for path, lines in EXAMPLES.items():
        if path not in PATHS or path in {"", "oci", "doctor"}:
            continue
        pycompose(*path.split(), "--help")
        shown = capsys.readouterr().out
        own = [word for line in lines for word in line.partition(path)[2].partition(" sh")[0].split()]
        flags = {word for word in own if word.startswith("--")}
        missing = {flag for flag in flags if f"{flag} " not in shown and f"{flag}\n" not in shown}
        assert not missing, f"{path}: {missing}"
