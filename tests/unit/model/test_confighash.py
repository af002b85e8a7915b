"""Hashes are those of Docker Compose 2.40.3 (`config --hash`), taken down here for a service that has a bit of all."""

from __future__ import annotations

from compose.model.confighash import service_hash
from compose.model.deploy import DeployConfig
from compose.model.service import ServiceConfig

KNOWN = "d5457d0b2799957b606d2ac4ed52d85a1e75799490e56229948300b9a59e8953"


def test_a_known_service_has_the_known_hash() -> None:
    service = ServiceConfig(name="a", image="x", networks={"default": None})
    assert service_hash(service) == KNOWN


def test_what_needs_no_new_container_does_not_count() -> None:
    service = ServiceConfig(name="a", image="x", deploy=DeployConfig())
    more = service.replace(scale=3, pull_policy="always", profiles=("p",), deploy=DeployConfig(replicas=2))
    assert service_hash(more) == service_hash(service)


def test_what_the_container_sees_counts() -> None:
    service = ServiceConfig(name="a", image="x")
    assert (
        len(
            {
                service_hash(service),
                service_hash(service.replace(labels={"a": "<&>"})),
                service_hash(service.replace(tty=True)),
            }
        )
        == 3
    )
