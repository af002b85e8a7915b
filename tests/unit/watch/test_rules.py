"""From changes to work: which rule accepts what, where it goes, what is started anew."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ComposeError
from compose.model.develop import DevelopConfig, Trigger
from compose.model.hook import ServiceHook
from compose.model.mounts import ServiceVolumeConfig
from compose.watch.rules import Change, Refusal, Rule, Scope, Work, compile_rules, decide
from runtime.wire.ignorefile import Matcher
from tests.kit import states


def rules(*triggers: Trigger, context: Scope | None = None, **said: Any) -> list[Rule]:
    web = states.service("web", develop=DevelopConfig(watch=triggers), **said)
    return compile_rules(states.project(web, states.service("db")), (), lambda _: context)[0]


def sync(**said: Any) -> Trigger:
    return Trigger(**{"path": "/w/src", "action": "sync", "target": "/app", **said})


def written(*paths: str) -> list[Change]:
    return [Change(path, "file") for path in paths]


def only(works: list[Work]) -> Work:
    assert len(works) == 1
    return works[0]


def test_a_synced_file_goes_to_its_place_below_the_target() -> None:
    work = only(decide(rules(sync()), written("/w/src/a/b.py", "/w/other/c.py")))
    assert work.copies == {"/app/a/b.py": "/w/src/a/b.py"}
    assert (work.restart, work.rebuild, work.hooks, work.paths) == (False, False, (), ("a/b.py",))


def test_a_rule_about_one_file_takes_its_target_as_a_file() -> None:
    work = only(decide(rules(sync(path="/w/conf.ini", target="/etc/app.ini")), written("/w/conf.ini", "/w/conf.ini2")))
    assert work.copies == {"/etc/app.ini": "/w/conf.ini"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ["x.py", "x.md", "sub/y.py", "node_modules/z.js"]),
        ({"ignore": ("node_modules/",)}, ["x.py", "x.md", "sub/y.py"]),
        ({"include": ("**/*.py",)}, ["x.py", "sub/y.py"]),
        ({"include": ("*.py",)}, ["x.py"]),
        ({"include": ("**/*.py",), "ignore": ("sub",)}, ["x.py"]),
        ({"ignore": ("*", "!x.py")}, ["x.py"]),
    ],
)
def test_include_and_ignore_are_about_paths_below_the_rule(said: dict[str, Any], expected: list[str]) -> None:
    changes = written(*(f"/w/src/{name}" for name in ("x.py", "x.md", "sub/y.py", "node_modules/z.js")))
    assert sorted(only(decide(rules(sync(**said)), changes)).paths) == sorted(expected)


@pytest.mark.parametrize(
    "name",
    [".git/index", "sub/.git/HEAD", ".a.py.swp", "a.py~", "4913", ".#a.py", "#a.py#", ".idea/w.xml", "x___jb_tmp___"],
)
def test_what_editors_and_git_write_beside_is_ignored(name: str) -> None:
    assert decide(rules(sync()), written(f"/w/src/{name}")) == []


def test_a_directory_named_like_an_ignored_one_above_the_rule_does_not_matter() -> None:
    assert decide(rules(sync(path="/w/.git/hooks")), written("/w/.git/hooks/x"))


def test_the_build_contexts_ignore_file_counts_from_the_context() -> None:
    scope = Scope("/w", Matcher(["src/private", "*.log"]))
    works = decide(rules(sync(), context=scope), written("/w/src/private/key", "/w/src/a.log", "/w/src/b.py"))
    assert only(works).paths == ("a.log", "b.py")


@pytest.mark.parametrize(
    ("action", "copies", "restart", "rebuild"),
    [
        ("sync", 1, False, False),
        ("restart", 0, True, False),
        ("sync+restart", 1, True, False),
        ("rebuild", 0, False, True),
    ],
)
def test_each_action_does_what_its_name_says(action: str, copies: int, restart: bool, rebuild: bool) -> None:
    work = only(decide(rules(sync(action=action)), written("/w/src/a")))
    assert (len(work.copies), work.restart, work.rebuild) == (copies, restart, rebuild)


def test_a_batch_restarts_once_and_runs_each_command_once() -> None:
    hook = ServiceHook(command=("reload",))
    both = rules(sync(action="sync+exec", exec=hook), sync(action="sync+restart", include=("*.py",)))
    work = only(decide(both, written("/w/src/a.py", "/w/src/b.py", "/w/src/c.txt")))
    assert work.restart
    assert work.hooks == (hook,)
    assert len(work.copies) == 3


def test_a_rename_is_a_copy_and_a_deletion() -> None:
    changes = [Change("/w/src/old.py", "gone", "file"), Change("/w/src/new.py", "file")]
    work = only(decide(rules(sync()), changes))
    assert (dict(work.copies), work.deletions) == ({"/app/new.py": "/w/src/new.py"}, ("/app/old.py",))


def test_a_deleted_directory_is_one_deletion() -> None:
    gone = [Change(f"/w/src/{name}", "gone", "file") for name in ("d/a", "d/e/b")]
    work = only(decide(rules(sync()), [*gone, Change("/w/src/d", "gone", "dir"), Change("/w/src/d/e", "gone", "dir")]))
    assert work.deletions == ("/app/d",)


def test_a_directory_alone_is_brought_over_but_restarts_nothing() -> None:
    work = only(decide(rules(sync(action="sync+restart")), [Change("/w/src/new", "dir")]))
    assert work.copies == {"/app/new": "/w/src/new"}
    assert not work.restart
    assert decide(rules(sync(action="restart")), [Change("/w/src/new", "dir")]) == []


def test_directories_come_before_what_is_in_them() -> None:
    work = only(
        decide(rules(sync()), [Change("/w/src/d/e/f", "file"), Change("/w/src/d/e", "dir"), Change("/w/src/d", "dir")])
    )
    assert list(work.copies) == ["/app/d", "/app/d/e", "/app/d/e/f"]


def test_what_is_mounted_from_the_host_is_left_alone() -> None:
    bind = ServiceVolumeConfig(type="bind", source="/w/src", target="/app")
    web = states.service(
        "web", develop=DevelopConfig(watch=(sync(path="/w/src/sub"), sync(path="/w/lib"))), volumes=(bind,)
    )
    found, refused = compile_rules(states.project(web), (), lambda _: None)
    assert [rule.path for rule in found] == ["/w/lib"]
    assert refused == [Refusal("web", "/w/src/sub", refused[0].reason)]
    assert decide(found, written("/w/lib/a")) == []  # /app is the host's /w/src


def test_a_pattern_that_means_nothing_is_refused_with_its_place() -> None:
    with pytest.raises(ComposeError, match=r"services.web.develop.watch\[0\]: pattern"):
        rules(sync(ignore=("[",)))


def test_only_named_services_are_watched() -> None:
    both = [states.service(name, develop=DevelopConfig(watch=(sync(),))) for name in ("web", "api")]
    found, _ = compile_rules(states.project(*both), ("api",), lambda _: None)
    assert [rule.service for rule in found] == ["api"]
