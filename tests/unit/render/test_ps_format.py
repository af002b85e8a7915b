"""`ps`: Compose's table, JSON lines and templates."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from compose.cli.render import ps_format
from compose.errors import UsageError
from tests.kit.fakeengine import container

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


def web(**changes) -> dict:
    found = container("web", StartedAt="2026-01-02T03:04:02Z", Health={"Status": "healthy"})
    found["NetworkSettings"]["Ports"] = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "443/tcp": None,
    }
    found["Path"], found["Args"] = "python3", ["-m", "http.server 80"]
    found.update(changes)
    return found


def test_the_default_table_is_composes() -> None:
    db = container("db", status="exited", ExitCode=1, FinishedAt="2026-01-02T03:02:00Z")
    assert ps_format.render([db, web()], "table", NOW) == (
        "NAME        IMAGE            COMMAND                  SERVICE   CREATED         STATUS"
        "                     PORTS\n"
        'app-db-1    localhost/host   "sleep 1000"             db        5 seconds ago   Exited (1) 2 minutes ago   \n'
        'app-web-1   localhost/host   "python3 -m \'http.se…"   web       5 seconds ago   Up 3 seconds (healthy)'
        "     443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp\n"
    )


def test_an_empty_table_has_its_header() -> None:
    assert ps_format.render([], "table", NOW) == ("NAME      IMAGE     COMMAND   SERVICE   CREATED   STATUS    PORTS\n")


def test_json_is_a_line_each_with_composes_keys() -> None:
    (line,) = ps_format.render([web()], "json", NOW, zone=UTC).splitlines()
    row = json.loads(line)
    assert list(row) == sorted(row)
    assert set(row) == set(
        "Command CreatedAt ExitCode Health ID Image Labels LocalVolumes Mounts Name Names Networks Ports Project "
        "Publishers RunningFor Service Size State Status".split()
    )
    assert row["ID"] == web()["Id"][:12]
    assert row["CreatedAt"] == "2026-01-02 03:04:00 +0000 UTC"
    assert row["Health"] == "healthy"
    assert row["Publishers"][0] == {"URL": "0.0.0.0", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"}
    assert "->" in line
    assert '{"URL":"' in line


def test_templates_name_fields_and_labels() -> None:
    render = ps_format.render
    assert render([web()], "{{.Name}}: {{.State}}", NOW) == "app-web-1: running\n"
    assert render([web()], '{{.Label "com.docker.compose.service"}}', NOW) == "web\n"
    assert render([web()], "{{.Name | upper}} {{json .ExitCode}}", NOW) == "APP-WEB-1 0\n"
    assert render([web()], "table {{.Service}}\\t{{.ID}}", NOW) == "SERVICE   CONTAINER ID\nweb       776562310000\n"
    assert json.loads(render([web()], "{{json .}}", NOW))["Name"] == "app-web-1"


@pytest.mark.parametrize("format", ["{{.Nothing}}", "{{if .Name}}x", "{{nofunc .Name}}", "{{.Name", "{{.Name | }}"])
def test_templates_that_cannot_be_honoured_are_errors(format: str) -> None:
    with pytest.raises(UsageError, match="template"):
        ps_format.render([web()], format, NOW)


def publisher(target: int, published: int = 0, address: str = "", protocol: str = "tcp") -> dict:
    return {"URL": address, "TargetPort": target, "PublishedPort": published, "Protocol": protocol}


@pytest.mark.parametrize(
    ("publishers", "text"),
    [
        ([], ""),
        ([publisher(80)], "80/tcp"),
        ([publisher(80), publisher(81), publisher(83), publisher(53, protocol="udp")], "80-81/tcp, 53/udp, 83/tcp"),
        ([publisher(80, 80, "0.0.0.0"), publisher(80, 80, "::")], "0.0.0.0:80->80/tcp, [::]:80->80/tcp"),
        ([publisher(90, 90, "127.0.0.1"), publisher(91, 91, "127.0.0.1")], "127.0.0.1:90-91->90-91/tcp"),
        ([publisher(80, 8080, "::1")], "[::1]:8080->80/tcp"),
    ],
)
def test_ports_are_grouped_as_docker_groups_them(publishers: list, text: str) -> None:
    assert ps_format.ports(publishers) == text
