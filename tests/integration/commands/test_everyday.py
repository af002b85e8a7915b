"""The everyday commands on one stack that runs: what they print, whom they mean, how they end."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


@pytest.fixture(scope="module")
def everyday(module_stack: Stack) -> Stack:
    port, udp = free_port(), free_port()
    module_stack.compose(f"""
        services:
          web:
            image: localhost/host
            command: sh -c 'echo out; echo err >&2; trap "exit 4" USR1; while :; do sleep 0.05; done'
            init: true
            stop_grace_period: 0s
            volumes: [data:/data]
            ports: ["127.0.0.1:{port}:80", "127.0.0.1:{udp}:53/udp"]
          db: {{image: localhost/host, command: sleep 1000, init: true, stop_grace_period: 0s, deploy: {{replicas: 2}}}}
          once: {{image: localhost/host, command: sh -c 'echo only; exit 3', volumes: [more:/data]}}
        volumes: {{data: {{}}, more: {{}}}}
    """)
    module_stack.run("up", "-d")
    module_stack.environment["PORTS"] = f"{port} {udp}"
    poll(lambda: module_stack.states()["once-1"] == "exited")
    return module_stack


def names(stack: Stack, *arguments: str) -> list[str]:
    return sorted(row["Name"].removeprefix(f"{stack.project}-") for row in _rows(stack.run("ps", *arguments).out))


def _rows(out: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in out.splitlines()]


def test_ps_shows_what_runs_and_what_is_asked_for(everyday: Stack) -> None:
    rows = ["--format", "json"]
    assert names(everyday, *rows) == ["db-1", "db-2", "web-1"]
    assert names(everyday, "-a", *rows) == ["db-1", "db-2", "once-1", "web-1"]
    assert names(everyday, *rows, "db") == ["db-1", "db-2"]
    assert names(everyday, *rows, "--status", "exited") == ["once-1"]
    assert names(everyday, *rows, "--filter", "status=running") == ["db-1", "db-2", "web-1"]
    assert sorted(everyday.run("ps", "--services").lines) == ["db", "web"]
    assert [len(line) for line in everyday.run("ps", "-q").lines] == [64] * 3
    assert everyday.run("ps", "--format", "{{.Service}} {{.State}} {{.ExitCode}}", "-a", "once").lines == [
        "once exited 3"
    ]
    table = everyday.run("ps", "web").lines
    assert table[0].split() == ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]
    assert re.search(r"web +(Less than a second|\d+ seconds?|About a minute) ago +Up ", table[1])
    (row,) = _rows(everyday.run("ps", *rows, "-a", "once").out)
    assert (row["State"], row["ExitCode"], row["Service"]) == ("exited", 3, "once")


def test_port_tells_where_a_port_is_published(everyday: Stack) -> None:
    port, udp = everyday.environment["PORTS"].split()
    assert everyday.run("port", "web", "80").out == f"127.0.0.1:{port}\n"
    assert everyday.run("port", "--protocol", "udp", "web", "53").out == f"127.0.0.1:{udp}\n"
    missing = everyday.run("port", "web", "81", ok=False)
    assert (missing.code, missing.out) == (1, "")
    assert f"no port 81/tcp for container {everyday.project}-web-1" in missing.err
    stopped = everyday.run("port", "nosuch", "80", ok=False)
    assert (stopped.code, stopped.err.strip()) == (1, 'service "nosuch" is not running')


def test_logs_are_chosen_by_service_and_number_of_lines(everyday: Stack) -> None:
    assert everyday.run("logs", "once").out == "once-1  | only\n"
    assert everyday.run("logs", "--no-log-prefix", "once").out == "only\n"
    assert sorted(everyday.run("logs", "--no-log-prefix", "web").lines) == ["err", "out"]
    assert len(everyday.run("logs", "--tail", "1", "web").lines) == 1
    stamped = everyday.run("logs", "-t", "once").out
    assert re.fullmatch(r"once-1  \| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z only\n", stamped)
    assert everyday.run("logs", "--since", "1h", "--no-log-prefix", "once").out == "only\n"
    assert everyday.run("logs", "--until", "1h", "once").out == ""
    assert everyday.run("logs", "--index", "2", "db").out == ""


def test_images_lists_each_container_with_its_image(everyday: Stack) -> None:
    table = everyday.run("images").lines
    assert table[0].split()[:3] == ["CONTAINER", "REPOSITORY", "TAG"]
    assert [line.split()[0].removeprefix(f"{everyday.project}-") for line in table[1:]] == [
        "db-1", "db-2", "once-1", "web-1",
    ]  # fmt: skip
    (identity,) = set(everyday.run("images", "-q", "web").lines)
    found = json.loads(everyday.run("images", "--format", "json", "web").out)
    assert identity in found[0]["ID"]
    assert found[0]["ContainerName"] == f"{everyday.project}-web-1"


def test_volumes_lists_those_of_the_project_or_of_services(everyday: Stack) -> None:
    data, more = f"{everyday.project}_data", f"{everyday.project}_more"
    table = everyday.run("volumes").lines
    assert [table[0], *sorted(table[1:])] == ["DRIVER    VOLUME NAME", f"local     {data}", f"local     {more}"]
    assert everyday.run("volumes", "-q", "web").lines == [data]
    assert everyday.run("volumes", "db").lines == ["DRIVER    VOLUME NAME"]
    assert sorted(row["Name"] for row in _rows(everyday.run("volumes", "--format", "json").out)) == [data, more]
    assert everyday.run("volumes", "--format", "{{.Name}} {{.Driver}} {{.Scope}}", "web").out == f"{data} local local\n"


def test_ls_counts_the_containers_of_projects(everyday: Stack) -> None:
    rows = json.loads(everyday.run("ls", "--format", "json", "--filter", f"name={everyday.project}").out)
    assert [(row["Name"], row["Status"]) for row in rows] == [(everyday.project, "running(3)")]
    assert rows[0]["ConfigFiles"] == str(everyday.folder / "compose.yaml")
    everything = json.loads(everyday.run("ls", "-a", "--format", "json", "--filter", f"name={everyday.project}").out)
    assert everything[0]["Status"] == "exited(1), running(3)"
    assert everyday.project in everyday.run("ls", "-q").lines
    assert everyday.run("ls").lines[0].split() == ["NAME", "STATUS", "CONFIG", "FILES"]


def test_pause_and_unpause_freeze_and_thaw(everyday: Stack) -> None:
    assert f"Container {everyday.project}-web-1  Paused" in everyday.run("pause", "web").err
    assert everyday.states()["web-1"] == "paused"
    again = everyday.run("pause", "web", ok=False)
    assert (again.code, "is already paused" in again.err) == (1, True)
    refused = everyday.run("exec", "-T", "web", "true", ok=False)
    assert refused.code == 1
    assert "is paused" in refused.err
    assert f"Container {everyday.project}-web-1  Unpaused" in everyday.run("unpause", "web").err
    assert everyday.states()["web-1"] == "running"


def test_names_of_the_old_kind_are_had_with_compatibility(stack: Stack) -> None:
    stack.compose("services: {web: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, scale: 2}}")
    stack.environment["COMPOSE_COMPATIBILITY"] = "1"
    stack.run("up", "-d")
    listed = ("ps", "--format", "{{.Name}}")
    assert stack.run(*listed).lines == [f"{stack.project}_web_1", f"{stack.project}_web_2"]
    del stack.environment["COMPOSE_COMPATIBILITY"]
    assert stack.run(*listed).lines == [f"{stack.project}_web_1", f"{stack.project}_web_2"]
    assert "Recreate" not in stack.run("--compatibility", "up", "-d").err


def test_kill_sends_a_signal(everyday: Stack) -> None:
    everyday.run("kill", "-s", "USR1", "web")
    poll(lambda: everyday.states()["web-1"] == "exited")
    assert everyday.inspect("web-1")["State"]["ExitCode"] == 4
    everyday.run("start", "web")
    assert f"Container {everyday.project}-web-1  Killed" in everyday.run("kill", "web").err
    poll(lambda: everyday.states()["web-1"] == "exited")
    assert everyday.inspect("web-1")["State"]["ExitCode"] == 137
    everyday.run("start", "web")


def test_rm_removes_what_does_not_run(everyday: Stack) -> None:
    assert "No stopped containers" in everyday.run("rm", "-f", "web").err
    asked = everyday.run("rm", "once")
    assert asked.out.strip() == f"Going to remove {everyday.project}-once-1"
    assert "once-1" in everyday.containers()
    removed = everyday.run("rm", "-f", "once")
    assert removed.out == f"Going to remove {everyday.project}-once-1\n"
    assert f"Container {everyday.project}-once-1  Removed" in removed.err
    assert "once-1" not in everyday.containers()
    stopped = everyday.run("rm", "-f", "-s", "db")
    assert f"Container {everyday.project}-db-2  Removed" in stopped.err
    assert everyday.containers() == ["web-1"]
    everyday.run("up", "-d")
    poll(lambda: everyday.states().get("once-1") == "exited")


def test_events_of_the_past_are_told_until_a_moment(everyday: Stack) -> None:
    everyday.run("restart", "-t", "0", "web")
    told = everyday.run("events", "--since", "1h", "--until", "0s", "web", ok=False).out
    actions = re.findall(r" container (\w+) [0-9a-f]{64} ", told)
    assert {"kill", "die", "start"} <= set(actions)
    assert f"name={everyday.project}-web-1" in told
    lines = everyday.run("events", "--json", "--since", "1h", "--until", "0s", ok=False).lines
    rows = [json.loads(line) for line in lines]
    assert {"web", "db", "once"} <= {row["service"] for row in rows}
    died = next(row for row in rows if row["action"] == "die" and row["service"] == "once")
    assert died["attributes"]["exitCode"] == "3"
    assert died["type"] == "container"
    assert everyday.run("events", "--since", "1s", "--until", "2h", ok=False).out == ""
    assert everyday.run("events", "--since", "soon", ok=False).code == 1


def test_events_are_told_as_they_happen_until_a_moment_to_come(everyday: Stack) -> None:
    following = everyday.start("events", "--until", "-4s", "web")
    poll(lambda: everyday.run("pause", "web", ok=False).code == 0)
    everyday.run("unpause", "web")
    out, _ = following.communicate(timeout=20)
    assert {"pause", "unpause"} <= set(re.findall(r" container (\w+) ", out))


@pytest.mark.parametrize("command", ["kill", "pause", "unpause", "logs", "ps", "rm -f"])
def test_a_service_that_is_not_in_the_files_is_an_error(
    everyday: Stack, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a project that is named in the environment is found without its files, then anything may be its service
    monkeypatch.setitem(everyday.environment, "COMPOSE_PROJECT_NAME", "")
    failed = everyday.run(*command.split(), "nosuch", ok=False)
    assert failed.code == 1
    assert "no such service: nosuch" in failed.err
