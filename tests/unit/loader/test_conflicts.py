"""What cannot run at the same time is refused; what can, is not."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ConsistencyError
from compose.loader.conflicts import refuse_conflicts
from compose.usecases.config import Config, ConfigRequest
from compose.usecases.projects import ProjectRequest, load_project, project_or_name

ALLOWED = {
    "both families of one service": ("services: {a: {image: x, ports: ['0.0.0.0:80:80', '[::]:80:80']}}"),
    "both families of two services": (
        "services:\n  a: {image: x, ports: ['0.0.0.0:80:80']}\n  b: {image: x, ports: ['[::]:80:80']}\n"
    ),
    "two addresses": (
        "services:\n  a: {image: x, ports: ['127.0.0.1:80:80']}\n  b: {image: x, ports: ['127.0.0.2:80:80']}\n"
    ),
    "two protocols": "services: {a: {image: x, ports: ['53:53/tcp', '53:53/udp']}}",
    "the same said twice": "services: {a: {image: x, ports: ['80:80', {target: 80, published: '80', mode: host}]}}",
    "replicas of one service": "services: {a: {image: x, ports: ['80:80'], scale: 3}}",
    "a port handed on by what completes": (
        "services:\n  setup: {image: x, ports: ['80:80']}\n"
        "  web: {image: x, ports: ['80:80'], depends_on: {setup: {condition: service_completed_successfully}}}\n"
    ),
    "a service with no containers": "services:\n  a: {image: x, ports: ['80:80'], scale: 0}\n  b: {image: x, ports: ['80:80']}\n",
    "a disabled service": (
        "services:\n  a: {image: x, ports: ['80:80'], profiles: [p]}\n  b: {image: x, ports: ['80:80']}\n"
    ),
    "any port of the host": "services:\n  a: {image: x, ports: ['80']}\n  b: {image: x, ports: ['80', '0:81']}\n",
    "ranges to choose from": "services:\n  a: {image: x, ports: ['80-90:80']}\n  b: {image: x, ports: ['80-90:80']}\n",
}
REFUSED = {
    "one port": "services:\n  a: {image: x, ports: ['80:80']}\n  b: {image: x, ports: ['80:81']}\n",
    "all addresses and one": "services:\n  a: {image: x, ports: ['80:80']}\n  b: {image: x, ports: ['127.0.0.1:80:81']}\n",
    "all addresses of a family and one": (
        "services:\n  a: {image: x, ports: ['[::]:80:80']}\n  b: {image: x, ports: ['[::1]:80:81']}\n"
    ),
    "one port for two targets": "services: {a: {image: x, ports: ['80:80', '80:81']}}",
    "a range written out": "services:\n  a: {image: x, ports: ['80-82:80-82']}\n  b: {image: x, ports: ['81:80']}\n",
}


@pytest.mark.parametrize("case", sorted(ALLOWED))
def test_ports_that_can_be_bound_together_are_accepted(workdir: Any, case: str) -> None:
    workdir.load(ALLOWED[case])


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_ports_that_cannot_are_refused_with_both_places(workdir: Any, case: str) -> None:
    (problem,) = workdir.problems(REFUSED[case])
    assert "port is already allocated" in problem
    assert problem.count("compose.yaml:") == 2


def test_a_conflict_counts_among_the_services_a_command_creates_only(workdir: Any) -> None:
    workdir.write("compose.yaml", REFUSED["one port"])
    request = ProjectRequest(cwd=workdir.path)
    assert "a" in load_project(request, ["a"]).services
    with pytest.raises(ConsistencyError, match="port is already allocated"):
        load_project(request)
    with pytest.raises(ConsistencyError, match="port is already allocated"):
        load_project(request, ["a", "b"])


def test_what_creates_nothing_is_told_of_no_conflict(workdir: Any) -> None:
    workdir.write("compose.yaml", REFUSED["one port"])
    project, _ = project_or_name(ProjectRequest(cwd=workdir.path))
    assert project is not None
    with pytest.raises(ConsistencyError):
        refuse_conflicts(project)


def test_config_of_some_services_judges_these_and_what_they_need(workdir: Any) -> None:
    text = REFUSED["one port"] + "  c: {image: x, depends_on: [a]}\n  d: {image: x, ports: ['80:80'], profiles: [p]}\n"
    workdir.write("compose.yaml", text)
    request = ProjectRequest(cwd=workdir.path)
    assert list(Config(request, ConfigRequest(services=("c",))).model(json=False)["services"]) == ["a", "c"]
    for services in (("b", "c"), ("a", "d"), ()):
        with pytest.raises(ConsistencyError, match="port is already allocated"):
            Config(request, ConfigRequest(services=services)).model(json=False)


def test_a_value_that_lacks_a_variable_is_refused_when_it_is_used_and_not_when_it_is_shown(workdir: Any) -> None:
    workdir.write("compose.yaml", "services: {a: {image: 'nginx:${NOT_SET}-alpine'}}")
    request = ProjectRequest(cwd=workdir.path)
    assert "a" in Config(request, ConfigRequest()).model(json=False)["services"]
    with pytest.raises(ConsistencyError, match="invalid reference format"):
        load_project(request)
    assert "invalid reference format" in workdir.problems("services: {a: {image: 'nginx:-alpine'}}")[0]


@pytest.mark.parametrize("number", ["1", "7", "9223372036854775807"])
def test_a_name_is_taken_by_a_numbered_container_of_however_many(workdir: Any, number: str) -> None:
    text = f"name: p\nservices:\n  a: {{image: x, scale: 9223372036854775807}}\n  b: {{image: x, container_name: p-a-{number}}}\n"
    assert "is already in use by service a" in workdir.problems(text)[0]
