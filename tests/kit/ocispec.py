"""Specs derived from records in Docker's terms, for tests of what is in them."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidParameter
from runtime.oci import spec
from runtime.oci.spec import ContainerInput, SpecFacts

ID = "0123456789abcdef" * 4
IMAGE = {"Cmd": ["sh"], "Env": ["LANG=C"]}


def generate(
    host: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    *,
    facts: SpecFacts | None = None,
    image: dict[str, Any] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    container = ContainerInput(id=ID, config=config or {}, host_config=host or {}, root_path="/run/rootfs", **rest)
    return spec.generate(container, IMAGE if image is None else image, facts or SpecFacts())


def refused(host: dict[str, Any] | None = None, config: dict[str, Any] | None = None, **rest: Any) -> str:
    with pytest.raises(InvalidParameter) as caught:
        generate(host, config, **rest)
    return caught.value.message


def mount_at(made: dict[str, Any], path: str) -> dict[str, Any]:
    found = [entry for entry in made["mounts"] if entry["destination"] == path]
    assert len(found) == 1, f"{path}: {found}"
    return found[0]


def types(made: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: entry.get("path", "") for entry in made["linux"]["namespaces"]}
