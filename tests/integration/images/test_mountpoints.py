"""The layer of mount points: complete, repeatable, and nothing of it lands in a container's own layer."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.images.snapshot import mountpoints

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


def test_it_is_made_once_and_completed_when_something_is_missing(tmp_path: Path) -> None:
    layer = str(tmp_path / "layer")
    mountpoints.ensure(layer)
    os.unlink(f"{layer}/etc/hosts")
    mountpoints.ensure(layer)
    assert sorted(os.listdir(f"{layer}/etc")) == ["hostname", "hosts", "resolv.conf"]
    assert stat.S_IMODE(os.stat(f"{layer}/etc").st_mode) == 0o755


def test_a_container_that_writes_nothing_has_an_empty_layer_of_its_own(stack: Stack) -> None:
    stack.compose("services: {a: {image: localhost/host, command: sleep 300, stop_signal: SIGKILL}}")
    stack.run("up", "-d")
    name = stack.inspect(stack.containers()[0])["Id"]
    assert os.listdir(f"{stack.root}/data/containers/{name}/upper") == []
    assert stack.exec("a", "cat", "/etc/hostname").out.strip() == name[:12]


def test_a_container_on_the_network_of_another_has_its_host_files(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 300, stop_signal: SIGKILL, extra_hosts: ["other:10.9.8.7"]}
          b: {image: localhost/host, command: sleep 300, stop_signal: SIGKILL, network_mode: "service:a"}
    """)
    stack.run("up", "-d")
    assert "10.9.8.7" in stack.exec("b", "cat", "/etc/hosts").out
