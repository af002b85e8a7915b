"""The machine goes down under a stack: what comes back, in which order, and what is told about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.boot import BootedStack

pytestmark = pytest.mark.root

POLICIES = """
    services:
      db:
        image: localhost/host
        command: sleep 1000
        init: true
        restart: always
        healthcheck: {test: "sleep 0.3", interval: 100ms, start_period: 10s, start_interval: 100ms}
      web:
        image: localhost/host
        command: python3 -m http.server 8000 --directory /usr/share/doc
        init: true
        restart: unless-stopped
        ports: ["8000"]
        volumes: ["data:/data"]
        depends_on: {db: {condition: service_healthy}}
      none: {image: localhost/host, command: sleep 1000, init: true}
      failed: {image: localhost/host, command: sleep 1000, init: true, restart: on-failure}
      halted: {image: localhost/host, command: sleep 1000, init: true, restart: unless-stopped}
      stubborn: {image: localhost/host, command: sleep 1000, init: true, restart: always}
      flapping: {image: localhost/host, command: sh -c "exit 3", restart: always, depends_on: [web]}
      done: {image: localhost/host, command: sh -c "exit 7"}
      frozen: {image: localhost/host, command: sleep 1000, init: true}
    volumes:
      data:
"""
BACK = ("db-1", "web-1", "failed-1", "stubborn-1")


@pytest.mark.parametrize("run_directory", ["lost", "stale"])
def test_a_boot_brings_back_what_its_policy_says(rebooted: BootedStack, run_directory: str) -> None:
    stack = rebooted
    stack.compose(POLICIES)
    stack.run("up", "-d")
    stack.exec("web", "sh", "-c", "echo kept > /data/file")
    stack.run("stop", "-t", "1", "halted", "stubborn")
    stack.run("pause", "frozen")
    poll(lambda: stack.inspect("done-1")["State"]["ExitCode"] == 7)
    poll(lambda: stack.inspect("flapping-1")["RestartCount"] >= 2)
    before = _everything(stack)

    stack.power_cut(forget_run=run_directory == "lost")
    stack.boot()
    stack.run("engine", "start")

    poll(lambda: all(stack.inspect(name)["State"]["Running"] for name in BACK), what="they are back")
    poll(lambda: stack.inspect("flapping-1")["State"]["StartedAt"] > before["flapping-1"]["State"]["StartedAt"])
    after = _everything(stack)
    assert after.keys() == before.keys()
    for name, item in after.items():
        assert item["Id"] == before[name]["Id"]
        addresses = [_addresses(side[name]) for side in (before, after)]
        assert addresses[0] == addresses[1], name
    ended = {name: (item["State"]["Status"], item["State"]["ExitCode"]) for name, item in after.items()}
    assert ended["none-1"] == ended["frozen-1"] == ("exited", 255)
    assert after["none-1"]["State"]["Error"] == "the machine went down while it ran"
    assert ended["done-1"] == ("exited", 7)
    assert ended["halted-1"] == (before["halted-1"]["State"]["Status"], before["halted-1"]["State"]["ExitCode"])
    started = {name: item["State"]["StartedAt"] for name, item in after.items()}
    assert started["db-1"] < started["web-1"] < started["flapping-1"]
    assert after["web-1"]["NetworkSettings"]["Ports"] == before["web-1"]["NetworkSettings"]["Ports"]

    assert stack.exec("web", "cat", "/data/file").out == "kept\n"
    page = "import urllib.request as u; print(u.urlopen('http://web:8000/').status)"
    assert stack.exec("db", "python3", "-c", page).out == "200\n"

    stack.run("up", "-d")
    states = stack.states()
    assert {name for name, state in states.items() if state == "running"} >= {*BACK, "none-1", "halted-1", "frozen-1"}
    assert {item["Id"] for item in _everything(stack).values()} == {item["Id"] for item in before.values()}
    stack.run("down", "-v", "-t", "1")


def test_a_machine_that_goes_down_in_order_brings_back_what_it_stopped_itself(rebooted: BootedStack) -> None:
    stack = rebooted
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, restart: unless-stopped}
          b: {image: localhost/host, command: sh -c "trap 'exit 9' TERM; while :; do sleep 0.02; done"}
          c: {image: localhost/host, command: sleep 1000, init: true, restart: unless-stopped}
    """)
    stack.run("up", "-d")
    stack.run("stop", "-t", "1", "c")
    stack.run("engine", "stop", "--containers", "--resume")
    stack.power_cut()
    stack.boot()
    stack.run("engine", "start")
    poll(lambda: stack.inspect("a-1")["State"]["Running"], what="a is back")
    assert (stack.inspect("b-1")["State"]["Status"], stack.inspect("b-1")["State"]["ExitCode"]) == ("exited", 9)
    assert stack.inspect("c-1")["State"]["Status"] == "exited"
    stack.run("down", "-t", "1")


def test_an_engine_that_only_comes_and_goes_leaves_alone_what_was_stopped_by_hand(rebooted: BootedStack) -> None:
    stack = rebooted
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, restart: always}
    """)
    stack.run("up", "-d")
    stack.run("stop", "-t", "1")
    stack.run("engine", "stop")
    stack.run("engine", "start")
    assert stack.states() == {"a-1": "exited"}
    stack.run("down")


def _everything(stack: BootedStack) -> dict[str, dict[str, Any]]:
    prefix = f"/{stack.project}-"
    return {item["Name"].removeprefix(prefix): item for item in stack.api("/v1/containers?all=1")}


def _addresses(item: dict[str, Any]) -> dict[str, tuple[str, str]]:
    networks = item["NetworkSettings"]["Networks"]
    return {name: (settings["IPAddress"], settings["MacAddress"]) for name, settings in networks.items()}
