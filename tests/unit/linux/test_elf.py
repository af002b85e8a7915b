"""ELF headers made and read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runtime.images import platform as platforms
from runtime.linux import elf

MAGIC = {
    "386": "7f454c46010101000000000000000000" + "02000300",
    "amd64": "7f454c46020101000000000000000000" + "02003e00",
    "arm": "7f454c46010101000000000000000000" + "02002800",
    "arm64": "7f454c46020101000000000000000000" + "0200b700",
    "loong64": "7f454c46020101000000000000000000" + "02000201",
    "mips64le": "7f454c46020101000000000000000000" + "02000800",
    "ppc64le": "7f454c46020101000000000000000000" + "02001500",
    "riscv64": "7f454c46020101000000000000000000" + "0200f300",
    "s390x": "7f454c46020201000000000000000000" + "00020016",
}
"""By what QEMU's emulators are registered."""


@pytest.mark.parametrize("architecture", MAGIC)
def test_headers_are_what_emulators_are_registered_for(architecture: str) -> None:
    header = elf.header(architecture)
    assert header[:20] == bytes.fromhex(MAGIC[architecture])
    assert len(header) == (52 if header[4] == 1 else 64)
    assert elf.architecture_of(header) == architecture


def test_a_real_program_is_known() -> None:
    with Path(sys.executable).open("rb") as program:
        assert elf.architecture_of(program.read(64)) == platforms.local().architecture


@pytest.mark.parametrize(
    ("head", "architecture"),
    [
        (b"", ""),
        (b"#!/bin/sh", ""),
        (b"\x7fELF", "another machine"),
        (b"\x7fELF\2\1", "another machine"),
        (bytes.fromhex("7f454c46020101000000000000000000" + "0200ffff"), "another machine"),
        (bytes.fromhex("7f454c46020101000000000000000000" + "02001600"), "s390x"),
    ],
)
def test_what_has_no_name_is_said_so(head: bytes, architecture: str) -> None:
    assert elf.architecture_of(head) == architecture


def test_an_architecture_without_programs_has_no_header() -> None:
    assert elf.header("wasm") == b""
