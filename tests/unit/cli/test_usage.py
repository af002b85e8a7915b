"""Parsing: global options, mistakes, help; words and exit codes are Compose's."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("up --foo", "unknown flag: --foo"),
        ("ps -z", "unknown shorthand flag: 'z' in -z"),
        ("exec web", "requires at least 2 arg(s), only received 1"),
        ("scale", "requires at least 1 arg(s), only received 0"),
        ("scale web", "invalid scale specifier: web"),
        ("scale web=x", "can't parse replica value as int"),
        ("up --scale web=-1", "cannot have less than 0"),
        ("up --scale web", 'invalid --scale option "web". Should be SERVICE=NUM'),
        ("up --build --no-build", "--build and --no-build are incompatible"),
        ("up -d --abort-on-container-exit", "--detach cannot be combined with --abort-on-container-exit"),
        ("up --wait --attach web", "--wait cannot be combined with"),
        ("up --force-recreate --no-recreate", "--force-recreate and --no-recreate are incompatible"),
        ("up --attach web --attach-dependencies", "cannot combine --attach and --attach-dependencies"),
        ("up --attach nosuch", "cannot attach to services not included in up: nosuch"),
        ("ps --filter x", "arguments to --filter should be in form KEY=VAL"),
        ("ps --filter a=b", "unknown filter a"),
        ("ps nosuch", "no such service: nosuch"),
        ("logs --index 1", "--index requires one service to be selected"),
        ("logs --since soon", "failed to parse value as time or duration"),
        ("--progress zz ps", 'unsupported --progress value "zz"'),
        ("--ansi never --progress tty ps", "can't use --progress tty while ANSI support is disabled"),
        ("--ansi always --progress plain ps", "can't use --progress plain while ANSI support is forced"),
        ("down --rmi some", 'invalid value for --rmi: "some"'),
        ("up -t x", 'invalid argument for "-t, --timeout" flag'),
        ("up --detach=maybe", 'invalid argument "maybe" for "--detach" flag'),
        ("config --format xml", 'unsupported format "xml"'),
        ("-f", "flag needs an argument: -f"),
        ("-f none.yaml ps", "none.yaml: no such file or directory"),
        ("port web http", 'invalid port "http"'),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1(pycompose, line: str, message: str) -> None:
    result = pycompose(*line.split())
    assert result.code == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_an_unknown_command_shows_the_help_and_says_so(pycompose) -> None:
    result = pycompose("foo")
    assert result.code == 1
    assert result.err == 'unknown command: "pycompose foo"\n'
    assert "Create and start containers" in result.out


@pytest.mark.parametrize("line", ["", "--help", "-h", "up --help", "exec -h", "engine", "image --help"])
def test_help_is_no_mistake_and_asks_no_engine(pycompose, engine, line: str) -> None:
    result = pycompose(*line.split())
    assert result.code == 0
    assert engine.requests == []


def test_every_command_of_the_table_has_a_module_with_the_same_help(pycompose) -> None:
    import importlib

    from compose.cli.app import COMMANDS, GROUPS

    tables = [("compose.cli.commands", COMMANDS)]
    tables += [(f"compose.cli.commands.{group}", commands) for group, (_, commands) in GROUPS.items()]
    for package, commands in tables:
        for name, text in commands.items():
            module = importlib.import_module(f"{package}.{'import_' if name == 'import' else name}")
            assert module.run.__doc__.splitlines()[0] == text


@pytest.mark.parametrize("flag", ["--dry-run", "--dry-run=true"])
def test_dry_run_works_before_and_behind_the_command(pycompose, engine, flag: str) -> None:
    before, behind = pycompose(flag, "up", "-d"), pycompose("up", "-d", flag)
    assert before.out == behind.out
    assert "service:web:1, CreateContainer, missing" in before.out
    assert engine.plans == []


def test_boolean_flags_take_values(pycompose, engine) -> None:
    assert pycompose("up", "--detach=true", "--dry-run").code == 0
    assert pycompose("ps", "--orphans=false").code == 0
    assert pycompose("up", "-d", "--dry-run=false").code == 0
    assert len(engine.plans) == 1


def test_options_of_exec_end_at_the_command(pycompose, engine) -> None:
    from tests.kit.fakeengine import container

    engine.containers = [container("web")]
    pycompose("exec", "-T", "web", "ls", "-l", "--dry-run")
    body = next(body for request, body in zip(engine.requests, engine.bodies, strict=True) if "exec" in request)
    assert body["Cmd"] == ["ls", "-l", "--dry-run"]


def test_errors_are_json_with_json_progress(pycompose) -> None:
    import json

    result = pycompose("--progress", "json", "ps", "nosuch")
    assert json.loads(result.err) == {"error": True, "message": "no such service: nosuch"}


@pytest.mark.parametrize(
    ("line", "text"),
    [("version", "pycompose version v"), ("version --short", "0."), ("version -f json", '{"version":"v')],
)
def test_version(pycompose, line: str, text: str) -> None:
    assert pycompose(*line.split()).out.startswith(text)
