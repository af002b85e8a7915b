"""IPC namespaces shared between containers, with the /dev/shm that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


def test_who_joins_an_ipc_namespace_shares_its_shared_memory(stack: Stack) -> None:
    stack.compose("""
        services:
          donor: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, ipc: shareable, shm_size: 8m, mem_limit: 64m}
          guest: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, ipc: "service:donor", read_only: true}
          named: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, ipc: "container:chain", depends_on: [chain]}
          chain: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, container_name: chain, ipc: "service:donor"}
          alone: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL}
    """)
    stack.run("up", "-d")
    stack.exec("donor", "sh", "-c", "echo posix > /dev/shm/segment; ipcmk -M 4096")
    for guest in ("guest", "chain", "named"):
        assert stack.exec(guest, "cat", "/dev/shm/segment").out == "posix\n"
        assert stack.exec(guest, "df", "--output=size", "/dev/shm").out.split()[-1] == "8192"
        assert (
            stack.exec(guest, "readlink", "/proc/1/ns/ipc").out == stack.exec("donor", "readlink", "/proc/1/ns/ipc").out
        )
    stack.exec("guest", "sh", "-c", "echo back > /dev/shm/answer")
    assert stack.exec("donor", "cat", "/dev/shm/answer").out == "back\n"
    assert stack.exec("alone", "ls", "/dev/shm").out == ""
    mounts = stack.exec("guest", "grep", " /dev/shm ", "/proc/self/mountinfo").out
    assert all(option in mounts for option in ("nosuid", "nodev", "noexec"))


def test_a_private_ipc_namespace_cannot_be_joined(stack: Stack) -> None:
    stack.compose("""
        services:
          donor: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, ipc: private}
          guest: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, ipc: "service:donor"}
    """)
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert "non-shareable IPC (hint: use IpcMode:shareable for the donor container)" in failed.err
