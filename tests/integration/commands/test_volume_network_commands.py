"""`volume` and `network` on a real engine: what is in use stays, and a running container changes its networks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

DEFAULT_ROUTE = "awk '$2 == \"00000000\" {print $1, $3}' /proc/net/route"


def networks_of(stack: Stack, container: str) -> dict[str, Any]:
    return dict(stack.inspect(container)["NetworkSettings"]["Networks"])


def way_out(stack: Stack, service: str) -> list[str]:
    """Interface and gateway of the default route, the gateway as an address."""
    words = stack.exec(service, "sh", "-c", DEFAULT_ROUTE).out.split()
    return [words[0], ".".join(str(byte) for byte in reversed(bytes.fromhex(words[1])))] if words else []


def test_what_is_in_use_is_not_removed_and_its_users_are_named(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, volumes: ["data:/data"], scale: 2}
          off: {image: localhost/host, command: "true", networks: [quiet], volumes: ["data:/data"]}
        volumes: {data: {}}
        networks: {quiet: {}}
    """)
    stack.run("up", "-d")
    stack.run("stop", "off")
    project = stack.project
    failed = stack.run("volume", "rm", f"{project}_data", "nosuch", ok=False)
    assert failed.code == 1
    users = f"{project}-a-1, {project}-a-2, {project}-off-1"
    assert failed.err.splitlines() == [
        f"volume {project}_data is in use by container {users}",
        "get nosuch: no such volume",
    ]
    failed = stack.run("network", "rm", f"{project}_default", "bridge", ok=False)
    assert failed.err.splitlines() == [
        f"network {project}_default has active endpoints: {project}-a-1, {project}-a-2",
        "bridge is a pre-defined network and cannot be removed",
    ]
    (found,) = json.loads(stack.run("network", "inspect", f"{project}_default").out)
    assert sorted(each["Name"] for each in found["Containers"].values()) == [f"{project}-a-1", f"{project}-a-2"]
    assert stack.run("volume", "ls", "-q", "-f", "dangling=true").out == ""

    unused = stack.run("volume", "create", "--label", "x=1").out.strip()
    stack.run("network", "create", "lonely")
    assert stack.run("network", "create", "lonely", ok=False).err == "network with name lonely already exists\n"
    assert stack.run("network", "prune", "-f").out == "Deleted Networks:\nlonely\n\n"
    mountpoint = json.loads(stack.run("volume", "inspect", unused).out)[0]["Mountpoint"]
    with open(f"{mountpoint}/file", "wb") as stream:
        stream.write(bytes(2500))
    assert stack.run("volume", "prune", "-f").out == (f"Deleted Volumes:\n{unused}\n\nTotal reclaimed space: 2.5kB\n")
    stack.run("down", "-v")
    assert stack.run("network", "ls", "--format", "{{.Name}} {{.Driver}}").lines == [
        "bridge bridge",
        "host host",
        "none null",
    ]


def test_a_running_container_comes_and_goes_on_networks(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, networks: [walled]}
          host: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, network_mode: host}
          none: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, network_mode: none}
        networks: {walled: {internal: true}}
    """)
    stack.run("up", "-d")
    name = f"{stack.project}-a-1"
    stack.run("network", "create", "--ipv6", "--subnet", "10.215.91.0/24", "open")
    assert way_out(stack, "a") == []
    stack.run("network", "connect", "--ip", "10.215.91.77", "--alias", "www", "open", name)
    assert way_out(stack, "a") == ["eth1", "10.215.91.1"]
    endpoint = networks_of(stack, "a-1")["open"]
    assert (endpoint["IPAddress"], endpoint["DNSNames"][:2]) == ("10.215.91.77", [name, "www"])
    assert stack.exec("a", "getent", "ahostsv4", "www").out.split()[0] == "10.215.91.77"

    stack.run("network", "disconnect", f"{stack.project}_walled", name)
    stack.run("network", "connect", "bridge", name)
    assert sorted(networks_of(stack, "a-1")) == ["bridge", "open"]
    assert way_out(stack, "a") == ["eth1", "10.215.91.1"]
    assert set(stack.exec("a", "ls", "/sys/class/net").out.split()) == {"lo", "eth0", "eth1"}
    stack.run("network", "disconnect", "open", name)
    assert way_out(stack, "a") == ["eth0", networks_of(stack, "a-1")["bridge"]["Gateway"]]

    refusals = {
        ("connect", "bridge", name): f"endpoint with name {name} already exists in network bridge",
        ("connect", "--ip", "10.9.9.9", "open", name): (
            "invalid endpoint settings: no configured subnet or ip-range contain the IP address 10.9.9.9"
        ),
        ("connect", "open", f"{stack.project}-host-1"): (
            "container cannot be disconnected from host network or connected to host network"
        ),
        ("connect", "open", f"{stack.project}-none-1"): (
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        ),
        ("connect", "nosuch", name): "network nosuch not found",
        ("disconnect", "open", name): f"container {name} is not connected to the network open",
        ("disconnect", "open", "nosuch"): "no such container: nosuch",
    }
    for arguments, message in refusals.items():
        failed = stack.run("network", *arguments, ok=False)
        assert (failed.code, failed.err) == (1, f"{message}\n")
    assert sorted(networks_of(stack, "a-1")) == ["bridge"]
    (found,) = json.loads(stack.run("network", "inspect", "host").out)
    assert [each["Name"] for each in found["Containers"].values()] == [f"{stack.project}-host-1"]


def test_a_container_goes_out_through_the_first_network_that_leads_there(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, networks: {walled: {priority: 100}, open: {}}}
        networks: {walled: {internal: true}, open: {}}
    """)
    stack.run("up", "-d")
    assert way_out(stack, "a")[1] == networks_of(stack, "a-1")[f"{stack.project}_open"]["Gateway"]
