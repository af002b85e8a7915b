"""Bad input: one clear message, Compose's exit code, and the same command simply works when the cause is mended."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import REPOSITORY, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

GOOD = """
    services:
      web: {image: localhost/host, command: sleep 1000, init: true}
"""


def lines(text: str) -> list[str]:
    """Lines of a message, without progress."""
    return [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith((" Container", " Network", " Volume"))
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "services: {web: {image: 'nosuch:1', pull_policy: never, command: sleep 1}}",
            ["compose.yaml:1:", 'image "nosuch:1" not found'],
        ),
        ("services: {web: {image: [", ["compose.yaml:2:1: yaml: line 2: did not find expected node content"]),
        ("services:\n  web:\n    imagee: x\n", ["compose.yaml:3:5", "imagee", 'did you mean "image"']),
        (
            "services:\n  a: {image: localhost/host, depends_on: [b]}\n  b: {image: localhost/host, depends_on: [a]}\n",
            ["dependency cycle detected: a -> b -> a"],
        ),
        ("services:\n  a: {image: localhost/host, depends_on: [zzz]}\n", ['depends on undefined service "zzz"']),
        ("services:\n  a: {image: localhost/host, cap_add: [NOSUCH]}\n", ["compose.yaml:2:", "NOSUCH"]),
        ("services:\n  a: {image: localhost/host, ports: ['70000:80']}\n", ["compose.yaml:2:", "70000"]),
        (
            "services:\n  a: {image: '${IMG:?give me an image}'}\n",
            ["required variable IMG is missing a value: give me an image"],
        ),
        ("", ["empty compose file"]),
    ],
)
def test_a_wrong_file_is_refused_with_its_place_and_nothing_is_created(
    stack: Stack, text: str, words: list[str]
) -> None:
    stack.write("compose.yaml", text)
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    for word in words:
        assert word in failed.err
    assert len(lines(failed.err)) <= 4, failed.err
    stack.compose(GOOD)
    assert stack.ps() == []
    stack.run("up", "-d")
    assert stack.states() == {"web-1": "running"}


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("dns: [nonsense]", "bad nameserver address nonsense"),
        ("stop_signal: SIGNOSUCH", "invalid signal: SIGNOSUCH"),
        ("storage_opt: {size: 1G}", "storage option size: root file systems have no quota"),
        ("logging: {driver: nosuch}", 'plugin "nosuch" not found'),
        ("logging: {options: {nosuch: x}}", "unknown log opt 'nosuch'"),
        ("cpuset: '7777'", "requested CPUs are not available"),
    ],
)
def test_a_setting_no_engine_takes_is_refused_before_a_container_is_made(
    stack: Stack, attribute: str, words: str
) -> None:
    stack.compose(GOOD.replace("init: true", f"init: true, {attribute}"))
    failed = stack.run("up", "-d", ok=False)
    assert (failed.code, stack.containers()) == (1, [])
    assert words in failed.err


def test_a_profile_of_apparmor_is_taken_on_any_machine(stack: Stack) -> None:
    stack.compose(GOOD.replace("init: true", "init: true, security_opt: ['apparmor:unconfined']"))
    stack.run("up", "-d")
    assert stack.states() == {"web-1": "running"}
    stack.exec("web", "true")


def test_no_file_at_all(stack: Stack) -> None:
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert "no configuration file provided: not found" in failed.err


def test_a_command_that_is_not_there(stack: Stack) -> None:
    stack.compose(GOOD.replace("sleep 1000", "nosuchcommand"))
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert 'exec: "nosuchcommand": executable file not found in $PATH' in failed.err
    stack.compose(GOOD)
    stack.run("up", "-d")
    assert stack.states() == {"web-1": "running"}


def test_a_container_that_dies_at_once_is_seen_by_wait(stack: Stack) -> None:
    stack.compose(GOOD.replace("sleep 1000", 'sh -c "echo no configuration >&2; exit 3"'))
    failed = stack.run("up", "--wait", ok=False)
    assert failed.code == 1
    assert f"container {stack.project}-web-1 exited (3)" in failed.err
    assert "no configuration" in stack.run("logs").out


def test_two_services_want_one_port(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, ports: ["18999:80"]}
          b: {image: localhost/host, command: sleep 1000, ports: ["18999:81"]}
    """)
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert "18999" in failed.err
    assert "compose.yaml:3:" in failed.err or "compose.yaml:4:" in failed.err
    assert stack.states() == {}


def test_a_container_name_that_another_project_has(stack: Stack) -> None:
    named = GOOD.replace("init: true", f"init: true, container_name: {stack.project}x")
    stack.compose(named)
    stack.run("up", "-d")
    failed = stack.run("-p", f"{stack.project}other", "up", "-d", ok=False)
    assert failed.code == 1
    assert f'container name "/{stack.project}x" is already in use' in failed.err
    stack.run("-p", f"{stack.project}other", "down")
    assert stack.run("ps", "-q").lines


def test_a_user_without_rights_is_told_so(stack: Stack) -> None:
    stack.compose(GOOD)
    stack.run("up", "-d")
    os.chmod(stack.root, 0o755)
    os.chmod(stack.folder, 0o755)
    # Imported first: another user cannot read an interpreter below root's home.
    code = (
        "import os, sys; from compose.cli.warm.server import preload; preload();"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.argv = ['pycompose', 'ps'];"
        "from compose.__main__ import cold; sys.exit(cold())"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=stack.folder,
        env={**stack.environ(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert "permission denied" in failed.stderr
    assert len(lines(failed.stderr)) <= 3


def test_down_of_what_was_never_up_is_no_error(stack: Stack) -> None:
    stack.compose(GOOD)
    assert stack.run("down").code == 0
    assert stack.run("ps", "-a").code == 0
    assert stack.run("stop").code == 0


def test_ctrl_c_in_a_wait_ends_the_command_and_the_same_command_goes_on(stack: Stack) -> None:
    stack.compose("""
        services:
          db:
            image: localhost/host
            command: sleep 1000
            init: true
            healthcheck: {test: "test -e /ready", start_period: 60s, start_interval: 100ms}
          web: {image: localhost/host, command: sleep 1000, init: true, depends_on: {db: {condition: service_healthy}}}
    """)
    up = stack.start("up", "-d")
    poll(lambda: stack.states().get("db-1") == "running", what="db runs")
    up.send_signal(2)
    up.communicate(timeout=20)
    assert up.returncode == 130
    assert stack.states()["db-1"] == "running"
    stack.exec("db", "touch", "/ready")
    stack.run("up", "-d")
    assert stack.states() == {"db-1": "running", "web-1": "running"}
