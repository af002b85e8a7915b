"""Provider programs against little scripts: how they are called, what they may say, and what becomes of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import ComposeError
from compose.model.service import ServiceProviderConfig
from compose.usecases import providers
from tests.kit.states import project, service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compose.model.project import Project
    from compose.model.service import ServiceConfig


class Listener:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, plan: Any) -> None: ...
    def event(self, operation: Any, event: Any) -> None: ...
    def end(self) -> None: ...
    def dry_run(self, plan: Any) -> None: ...
    def announce(self, text: str) -> None: ...

    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False) -> None:
        self.told.append(f"{name} {text}{' (done)' * done}{' (failed)' * failed}")

    def warn(self, text: str) -> None:
        self.told.append(f"warning: {text}")

    def info(self, text: str) -> None:
        self.told.append(f"info: {text}")

    def debug(self, text: str) -> None:
        self.told.append(f"debug: {text}")

    def ask(self, question: str) -> bool:
        return False


class Cloud:
    """A program on PATH; `calls` is how it was called, `metadata` apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "CALLS": str(folder / "calls")}
        self.says("")

    def says(self, script: str, *, metadata: str = "", path: str = "cloud") -> None:
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        answer = f"cat <<'END'\n{metadata}\nEND" if metadata else "exit 1"
        program.write_text(
            f'#!/bin/sh\nif [ "$*" = "compose metadata" ]; then {answer}\nexit\nfi\necho "$*" >> "$CALLS"\n{script}\n'
        )
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        found = self.folder / "calls"
        return found.read_text().splitlines() if found.exists() else []


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def provided(name: str, *, needs: tuple[str, ...] = (), **options: tuple[str, ...]) -> ServiceConfig:
    return service(name, needs=needs, provider=ServiceProviderConfig(type="cloud", options=options))


@pytest.fixture
def of(cloud: Cloud) -> Callable[..., Project]:
    def make(*services: ServiceConfig) -> Project:
        return project(*services, environment=cloud.environ).replace(working_dir=str(cloud.folder))

    return make


def message(kind: str, text: str) -> str:
    return f"""echo '{{"type": "{kind}", "message": "{text}"}}'"""


def test_the_program_is_told_project_options_and_service(cloud: Cloud, of: Callable[..., Project]) -> None:
    app = of(provided("db", type=("mysql",), tag=("a", "b")))
    listener = Listener()
    providers.provide(app, app.services, listener)
    assert cloud.calls == ["compose --project-name=app up --type=mysql --tag=a --tag=b db"]
    assert listener.told == ["db Creating", "db Created (done)"]


def test_what_it_sets_reaches_those_that_depend_on_it(cloud: Cloud, of: Callable[..., Project]) -> None:
    cloud.says(f"{message('setenv', 'URL=http://x/?a=b')}\n{message('rawsetenv', 'KEY=1')}")
    app = of(provided("my-db"), service("web", needs=("my-db",)), service("far", needs=("web",)))
    done = providers.provide(app, app.services, Listener())
    assert done.services["web"].environment == {"MY-DB_URL": "http://x/?a=b", "KEY": "1"}
    assert done.services["far"].environment == {}


def test_a_variable_that_is_overridden_as_it_stands_is_warned_of(cloud: Cloud, of: Callable[..., Project]) -> None:
    cloud.says(message("rawsetenv", "KEY=1"))
    app = of(provided("db"), service("web", needs=("db",), environment={"KEY": "0"}))
    listener = Listener()
    assert providers.provide(app, app.services, listener).services["web"].environment == {"KEY": "1"}
    assert 'warning: provider "db" overrides environment variable "KEY" in service "web"' in listener.told


def test_progress_and_debug_messages_are_told(cloud: Cloud, of: Callable[..., Project]) -> None:
    cloud.says(f"{message('info', 'half way')}\n{message('debug', 'inside')}")
    app = of(provided("db"))
    listener = Listener()
    providers.provide(app, app.services, listener)
    assert listener.told == ["db Creating", "db half way", "debug: db: inside", "db Created (done)"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (message("error", "no quota"), "no quota"),
        ("echo bad >&2; exit 3", "failed to create service provider: exit status 3: bad"),
        ("kill -9 $$", "failed to create service provider: signal 9"),
        ("echo junk", "invalid response from plugin: junk"),
        (message("news", "x"), "invalid response from plugin: news"),
        (message("setenv", "x"), "invalid response from plugin: x"),
    ],
)
def test_a_program_that_fails_ends_the_command(
    cloud: Cloud, of: Callable[..., Project], script: str, error: str
) -> None:
    cloud.says(script)
    app = of(provided("db"))
    with pytest.raises(ComposeError) as caught:
        providers.provide(app, app.services, Listener())
    assert caught.value.message == error


def test_a_program_that_fails_takes_the_others_along(cloud: Cloud, of: Callable[..., Project]) -> None:
    cloud.says('case "$*" in *slow) exec sleep 60;; *) sleep 0.2; exit 1;; esac')
    app = of(provided("slow"), provided("bad"), provided("late", needs=("slow",)))
    began = time.monotonic()
    with pytest.raises(ComposeError, match=r"^failed to create service provider: exit status 1$"):
        providers.provide(app, app.services, Listener())
    assert time.monotonic() - began < 30
    assert not any(call.endswith("late") for call in cloud.calls)


def test_programs_go_up_after_what_they_need_and_down_before_it(cloud: Cloud, of: Callable[..., Project]) -> None:
    app = of(provided("a", needs=("b",)), provided("b", needs=("c",)), provided("c"))
    providers.provide(app, app.services, Listener())
    providers.release(app, app.services, providers.DOWN, Listener(), dry_run=False)
    assert [call.split()[-3::2] for call in cloud.calls] == [
        *([f"--project-name=app", name] for name in "cba"),  # noqa: F541
        *(["--project-name=app", name] for name in "abc"),
    ]


def test_only_options_that_the_program_tells_of_are_passed_on(cloud: Cloud, of: Callable[..., Project]) -> None:
    cloud.says("", metadata='{"up": {"parameters": [{"name": "type", "required": true}]}, "down": {"parameters": []}}')
    app = of(provided("db", type=("mysql",), size=("3",)))
    providers.provide(app, app.services, Listener())
    providers.release(app, app.services, providers.DOWN, Listener(), dry_run=False)
    assert [call.partition("=app ")[2] for call in cloud.calls] == ["up --type=mysql db", "down db"]
    with pytest.raises(ComposeError, match=r'^required parameter "type" is missing from provider "cloud" definition$'):
        providers.provide(of(provided("db")), ["db"], Listener())


def test_stop_is_for_programs_that_say_they_can(cloud: Cloud, of: Callable[..., Project]) -> None:
    app = of(provided("db"))
    providers.release(app, app.services, providers.STOP, Listener(), dry_run=False)
    assert cloud.calls == []
    cloud.says("", metadata='{"description": "x", "stop": {}}')
    providers.release(app, app.services, providers.STOP, Listener(), dry_run=False)
    assert cloud.calls == ["compose --project-name=app stop db"]


def test_a_plugin_of_dockers_goes_before_a_program_on_the_path(cloud: Cloud) -> None:
    cloud.says("", path=".docker/cli-plugins/docker-cloud")
    assert providers.find_program("cloud", cloud.environ) == str(cloud.folder / ".docker/cli-plugins/docker-cloud")
    os.unlink(cloud.folder / ".docker/cli-plugins/docker-cloud")
    assert providers.find_program("cloud", cloud.environ) == str(cloud.folder / "cloud")
    with pytest.raises(ComposeError, match=r'^exec: "nowhere": executable file not found in \$PATH$'):
        providers.find_program("nowhere", cloud.environ)
    with pytest.raises(ComposeError, match=r"^'compose' is not a valid provider type$"):
        providers.find_program("compose", cloud.environ)


def test_a_dry_run_runs_nothing(cloud: Cloud, of: Callable[..., Project]) -> None:
    app = of(provided("db"), service("web", needs=("db",)))
    listener = Listener()
    assert providers.provide(app, app.services, listener, dry_run=True) == app
    assert (cloud.calls, listener.told) == ([], ["info: service:db, provider cloud, up"])
