"""What cannot run at the same time is refused; what can, is not."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ConsistencyError
from compose.loader.conflicts import refuse_conflicts
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
