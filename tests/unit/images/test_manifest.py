"""Documents from strangers."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from runtime.errors import InvalidParameter, NotSupported
from runtime.images.manifest import (
    MAX_DOCUMENT,
    chain_ids,
    check_config,
    check_manifest,
    decode,
    machine_architecture,
    select_platform,
)

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "config": {"mediaType": "c", "digest": DIGEST, "size": 2},
        "layers": [{"mediaType": "l", "digest": OTHER, "size": 3}],
    } | changes


def test_a_manifest_gives_its_descriptors() -> None:
    config, layers = check_manifest(manifest(), "m")
    assert (config["digest"], [layer["size"] for layer in layers]) == (DIGEST, [3])


@pytest.mark.parametrize(
    "document",
    [
        manifest(manifests=[]),
        manifest(schemaVersion=1),
        manifest(layers=None),
        manifest(layers=[None]),
        manifest(layers=[{"digest": "sha256:../../x", "size": 1}]),
        manifest(layers=[{"digest": OTHER, "size": -1}]),
        manifest(layers=[{"digest": OTHER, "size": "3"}]),
        manifest(layers=[{"digest": OTHER, "size": True}]),
        manifest(config={"digest": "md5:" + "a" * 32, "size": 1}),
        manifest(layers=[{"digest": OTHER, "size": 1}] * 300),
        {},
    ],
)
def test_an_ambiguous_or_invalid_manifest_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        check_manifest(document, "m")


@pytest.mark.parametrize("data", [b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (MAX_DOCUMENT + 1), b"<html>"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameter, match="config x"):
        decode(data, "config x")


def test_an_index_gives_the_manifest_of_this_machine() -> None:
    def entry(os: str, architecture: str, digest: str) -> dict[str, Any]:
        return {"digest": digest, "size": 1, "platform": {"os": os, "architecture": architecture}}

    index = {"manifests": [entry("windows", "amd64", OTHER), entry("linux", machine_architecture(), DIGEST)]}
    assert select_platform(index, "i")["digest"] == DIGEST
    with pytest.raises(InvalidParameter, match=r"no matching manifest for linux/mips .*windows/amd64"):
        select_platform(index, "i", "mips")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, InvalidParameter),
        ({"rootfs": None}, InvalidParameter),
        ({"rootfs": {"diff_ids": []}}, InvalidParameter),
        ({"rootfs": {"diff_ids": ["x"]}}, InvalidParameter),
        ({"rootfs": {"diff_ids": [1]}}, InvalidParameter),
        ({"rootfs": {"diff_ids": [DIGEST]}, "os": "windows"}, NotSupported),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": []}, None),
        ({"rootfs": {"diff_ids": [DIGEST]}, "config": [1]}, InvalidParameter),
    ],
)
def test_a_configuration_must_fit_its_manifest(document: dict[str, Any], error: type[Exception] | None) -> None:
    if error is None:
        assert check_config(document, "c", 1) == [DIGEST]
        return
    with pytest.raises(error):
        check_config(document, "c", 1)


def test_chain_ids_are_those_of_the_specification() -> None:
    second = hashlib.sha256(f"{DIGEST} {OTHER}".encode()).hexdigest()
    assert chain_ids([DIGEST, OTHER]) == ["a" * 64, second]


def test_layers_on_the_host_s_programs_are_not_those_on_nothing() -> None:
    assert chain_ids([DIGEST], "host") != chain_ids([DIGEST])
