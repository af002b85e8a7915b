"""`volume`, `network` against a fake engine: forms of output, questions, exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest


def volume(name: str, *, users: int = 0, size: int = -1, **said: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Driver": "local",
        "Mountpoint": f"/v/{name}/_data",
        "Labels": {},
        "Options": {},
        "CreatedAt": "2026-01-02T03:04:05Z",
        "Scope": "local",
        "UsageData": {"RefCount": users, "Size": size},
        **said,
    }


def network(name: str, **said: Any) -> dict[str, Any]:
    return {
        "Id": name.encode().hex().ljust(64, "0"),
        "Name": name,
        "Created": "2026-01-02T03:04:05.120000000Z",
        "Driver": "bridge",
        "Scope": "local",
        "Internal": False,
        "Attachable": False,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]},
        "Options": {},
        "Labels": {},
        "Containers": {},
        **said,
    }


@pytest.fixture
def volumes(engine) -> list[dict[str, Any]]:
    found = [
        volume("web10", users=1),
        volume("web2", Labels={"b": "2", "a": "1"}),
        volume("f" * 64, size=1500, Labels={"com.docker.volume.anonymous": ""}),
        volume("nfs", Options={"type": "nfs"}),
    ]
    engine.routes["GET /v1/volumes"] = found
    for each in found:
        engine.routes[f"GET /v1/volumes/{each['Name']}"] = each
    return found


@pytest.fixture
def networks(engine) -> list[dict[str, Any]]:
    found = [network("bridge"), network("app_front", Labels={"q": "1"}), network("app_back", Internal=True)]
    engine.routes["GET /v1/networks"] = found
    for each in found:
        engine.routes[f"GET /v1/networks/{each['Name']}"] = each
    return found


def removed(engine) -> list[str]:
    return [operation["args"]["Name"] for plan in engine.plans for operation in plan["operations"]]


def answer(engine, **ends: dict[str, Any]) -> None:
    """Have the plan's operations end as said by the name of what they are about, else well."""

    def run(exchange) -> None:
        plan = exchange.json()
        engine.plans.append(plan)
        exchange.begin_stream()
        for operation in plan["operations"]:
            end = ends.get(operation["args"].get("Name", ""), {"status": "done"})
            exchange.line({"op": operation["id"], **end})
        exchange.line({"status": "finished"})
        exchange.end_stream()

    engine.routes["POST /v1/plan"] = run


def test_volumes_are_listed_in_natural_order(pycompose, volumes) -> None:
    assert pycompose("volume", "ls").out.splitlines() == [
        "DRIVER    VOLUME NAME",
        f"local     {'f' * 64}",
        "local     nfs",
        "local     web2",
        "local     web10",
    ]
    assert pycompose("volume", "list", "-q", "-f", "name=web").out == "web2\nweb10\n"
    assert pycompose("volume", "ls", "-q", "-f", "dangling=false").out == "web10\n"
    assert pycompose("volume", "ls", "-f", "label=a", "--format", '{{.Name}} {{.Label "b"}}').out == "web2 2\n"
    row = json.loads(pycompose("volume", "ls", "-f", "label=a=1", "--format", "json").out)
    assert list(row) == "Availability Driver Group Labels Links Mountpoint Name Scope Size Status".split()
    assert (row["Labels"], row["Size"]) == ("a=1,b=2", "N/A")


def test_an_inspected_volume_has_dockers_keys_and_null_where_nothing_is(pycompose, volumes) -> None:
    result = pycompose("volume", "inspect", "web10")
    assert result.out.startswith('[\n    {\n        "CreatedAt": "2026-01-02T03:04:05Z",\n        "Driver": "local",\n')
    assert json.loads(result.out)[0] == {
        "CreatedAt": "2026-01-02T03:04:05Z",
        "Driver": "local",
        "Labels": None,
        "Mountpoint": "/v/web10/_data",
        "Name": "web10",
        "Options": None,
        "Scope": "local",
    }
    assert pycompose("volume", "inspect", "-f", "{{.Name}}", "web2", "nfs").out == "web2\nnfs\n"


def test_what_is_not_there_is_an_error_after_what_is(pycompose, engine, volumes) -> None:
    def missing(exchange) -> None:
        exchange.reply({"kind": "NotFound", "message": "get no: no such volume", "fields": {}}, 404)

    engine.routes["GET /v1/volumes/no"] = missing
    result = pycompose("volume", "inspect", "no", "-f", "json", "web2")
    assert (result.code, result.err) == (1, "get no: no such volume\n")
    assert [each["Name"] for each in json.loads(result.out)] == ["web2"]
    assert pycompose("volume", "inspect", "no").out == "[]\n"


def test_volumes_are_removed_each_for_itself(pycompose, engine) -> None:
    error = {"kind": "Conflict", "message": "volume b is in use by container app-web-1", "fields": {}}
    answer(engine, b={"status": "failed", "error": error}, c={"status": "unchanged"})
    result = pycompose("volume", "rm", "a", "b", "c")
    assert (result.code, result.out) == (1, "a\n")
    assert result.err.splitlines() == ["volume b is in use by container app-web-1", "get c: no such volume"]
    assert pycompose("volume", "rm", "-f", "c")[:2] == (0, "c\n")


def test_a_prune_takes_unused_anonymous_volumes_once_it_is_confirmed(pycompose, engine, volumes) -> None:
    result = pycompose("volume", "prune")
    assert result.out == (
        "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
        "Are you sure you want to continue? [y/N] "
    )
    assert engine.plans == []
    pycompose.stdin = "y\n"
    result = pycompose("volume", "prune")
    assert result.out.endswith(f"[y/N] Deleted Volumes:\n{'f' * 64}\n\nTotal reclaimed space: 1.5kB\n")
    assert removed(engine) == ["f" * 64]


def test_a_prune_of_all_spares_used_volumes_those_with_options_and_labelled_ones(pycompose, engine, volumes) -> None:
    assert pycompose("--dry-run", "volume", "prune", "-a").out.count("RemoveVolume, unused") == 2
    pycompose("volume", "prune", "-a", "-f", "--filter", "label!=a")
    assert removed(engine) == ["f" * 64]
    engine.plans.clear()
    pycompose("volume", "prune", "-a", "-f", "--filter", "label=a")
    assert removed(engine) == ["web2"]


def test_wrong_flags_cost_dockers_code_and_wrong_values_one(pycompose, volumes) -> None:
    assert pycompose("volume", "ls", "--nope").code == 125
    assert pycompose("volume", "ls", "-f", "name").code == 125
    assert pycompose("volume", "create", "--label", "=x", "v").code == 125
    assert pycompose("volume", "ls", "-f", "foo=x").code == 1
    assert pycompose("volume", "rm").code == 1
    assert pycompose("up", "--nope").code == 1


def test_networks_are_listed_with_short_ids(pycompose, networks) -> None:
    lines = pycompose("network", "ls").out.splitlines()
    assert lines[0] == "NETWORK ID     NAME        DRIVER    SCOPE"
    assert [line.split()[1] for line in lines[1:]] == ["app_back", "app_front", "bridge"]
    assert pycompose("network", "ls", "--no-trunc", "-q", "-f", "label=q").out == f"{networks[1]['Id']}\n"
    assert pycompose("network", "ls", "-f", "type=builtin", "--format", "{{.Name}}").out == "bridge\n"
    assert pycompose("network", "ls", "-f", "type=x").err == "invalid filter: 'type'='x'\n"
    row = json.loads(pycompose("network", "ls", "-f", "name=back", "--format", "json").out)
    assert row["CreatedAt"] == "2026-01-02 03:04:05.12 +0000 UTC"
    assert (row["Internal"], row["IPv6"], row["ID"]) == ("true", "false", networks[2]["Id"][:12])


def test_an_inspected_network_has_dockers_keys_in_dockers_order(pycompose, networks) -> None:
    (found,) = json.loads(pycompose("network", "inspect", "app_front").out)
    assert (
        list(found)
        == (
            "Name Id Created Scope Driver EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom ConfigOnly "
            "Containers Options Labels"
        ).split()
    )
    assert pycompose("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "bridge").out == (
        "10.1.0.0/24\n"
    )


def test_a_network_is_created_from_its_flags(pycompose, engine) -> None:
    answer(engine, net={"status": "done", "result": {"Id": "f" * 64}})
    flags = ["--subnet", "10.7.0.0/16", "--gateway", "10.7.0.9", "--internal", "--label", "a=b", "-o", "x=y", "--ipv6"]
    assert pycompose("network", "create", *flags, "net").out == f"{'f' * 64}\n"
    (operation,) = engine.plans[0]["operations"]
    assert operation["kind"] == "CreateNetwork"
    assert operation["args"] == {
        "Name": "net",
        "Driver": "bridge",
        "Options": {"x": "y"},
        "IPAM": {
            "Driver": "default",
            "Config": [{"Subnet": "10.7.0.0/16", "Gateway": "10.7.0.9"}],
            "Options": {},
        },
        "Internal": True,
        "Attachable": False,
        "EnableIPv6": True,
        "Labels": {"a": "b"},
    }
    answer(engine, net={"status": "unchanged", "result": {"Id": "f" * 64}})
    result = pycompose("network", "create", "net")
    assert (result.code, result.err) == (1, "network with name net already exists\n")


def test_a_network_prune_spares_what_a_stopped_container_is_on(pycompose, engine, networks) -> None:
    engine.containers = [
        {"Name": "/c", "State": {"Status": "exited"}, "NetworkSettings": {"Networks": {"app_back": {}}}}
    ]
    assert pycompose("network", "prune", "-f").out == "Deleted Networks:\napp_front\n\n"
    assert removed(engine) == ["app_front"]
    assert pycompose("network", "prune", "-f", "--filter", "until=2026-01-01").out == ""
    failed = pycompose("network", "prune", "-f", "--filter", "until=soon")
    assert failed.err == 'failed to parse value as time or duration: "soon"\n'


def test_a_container_is_connected_with_what_the_flags_say(pycompose, engine, networks) -> None:
    engine.routes["GET /v1/containers/c"] = {"Id": "c" * 64, "Name": "/c"}
    flags = ["--ip", "10.1.0.7", "--alias", "www", "--alias", "web", "--link", "db:database", "--gw-priority", "3"]
    assert pycompose("network", "connect", *flags, "app_front", "c").code == 0
    (operation,) = engine.plans[0]["operations"]
    assert operation["args"] == {
        "Network": "app_front",
        "Container": "c" * 64,
        "EndpointConfig": {
            "IPAMConfig": {"IPv4Address": "10.1.0.7"},
            "Aliases": ["www", "web"],
            "Links": ["db:database"],
            "GwPriority": 3,
        },
    }


def test_a_container_that_is_not_on_the_network_cannot_be_disconnected(pycompose, engine, networks) -> None:
    engine.routes["GET /v1/containers/c"] = {"Id": "c" * 64, "Name": "/c"}
    answer(engine, **{"": {"status": "unchanged"}})
    result = pycompose("network", "disconnect", "app_front", "c")
    assert (result.code, result.err) == (1, "container c is not connected to the network app_front\n")
