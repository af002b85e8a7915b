"""Several engines on one machine, and what others did to its firewall."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import machine
from tests.kit.stack import Stack, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture
def other(stack: Stack) -> Iterator[Stack]:
    """A second engine with a project of the same name."""
    with tempfile.TemporaryDirectory(prefix="pyc-") as root:
        made = Stack(root=Path(root), project=stack.project)
        yield made
        made.close()


def serve(stack: Stack, port: int) -> None:
    stack.compose(f"""
        services:
          web:
            image: localhost/host
            command: python3 -m http.server 8000 --directory /usr/share/doc
            init: true
            ports: ["{port}:8000"]
    """)
    stack.run("up", "-d")


def answers(stack: Stack, port: int) -> bool:
    try:
        return bool(stack.http(port))
    except OSError:
        return False


def test_two_engines_live_side_by_side(stack: Stack, other: Stack) -> None:
    first, second = free_port(), free_port()
    serve(stack, first)
    serve(other, second)
    assert stack.engine_id() != other.engine_id()
    poll(lambda: answers(stack, first) and answers(other, second), what="both answer")
    subnets = [engine.api("/v1/snapshot")["Networks"][0]["IPAM"]["Config"][0]["Subnet"] for engine in (stack, other)]
    assert subnets[0] != subnets[1]
    stack.run("down", "-t", "1")
    assert answers(other, second)
    assert machine.tables(other.engine_id())


def test_a_taken_port_is_a_conflict_between_engines_too(stack: Stack, other: Stack) -> None:
    port = free_port()
    serve(stack, port)
    other.compose(f"services: {{web: {{image: localhost/host, command: sleep 1000, ports: ['{port}:80']}}}}")
    failed = other.run("up", "-d", ok=False)
    assert failed.code == 1
    assert f":{port} failed: port is already allocated" in failed.err


def test_a_flushed_table_is_put_back(stack: Stack) -> None:
    port = free_port()
    serve(stack, port)
    poll(lambda: answers(stack, port), what="the page answers")
    subprocess.run(["nft", "delete", "table", "ip", f"pycompose_{stack.engine_id()}"], check=True)
    poll(lambda: machine.tables(stack.engine_id()), 5, "the table is back")
    assert answers(stack, port)
