from __future__ import annotations

import os
import struct
from errno import EACCES, ENOENT, ENOEXEC
from typing import TYPE_CHECKING

import pytest

from runtime.linux.syscalls import KERNEL
from runtime.oci import execreason

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = 243 if os.uname().machine != "riscv64" else 62
OWN = {"x86_64": 62, "aarch64": 183, "riscv64": 243}[os.uname().machine]


def elf(machine: int = FOREIGN, loader: bytes = b"") -> bytes:
    """A 64-bit little-endian ELF header with one program header that names `loader`."""
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(loader), len(loader), 1) + loader


@pytest.mark.parametrize(
    ("content", "errno", "reason"),
    [
        (b"#!/no/such -x\n", ENOENT, ": its interpreter /no/such is not in the image"),
        (b"#! /bin/sh\r\necho\r\n", ENOENT, ": its first line ends in a carriage return, save it with LF line ends"),
        (b"#!\x1b[31mx\n", ENOENT, ": its interpreter \\x1b[31mx is not in the image"),
        (elf(OWN, b"/lib/ld-musl.so.1\0"), ENOENT, ": its dynamic loader /lib/ld-musl.so.1 is not in the image"),
        (b"", ENOEXEC, ": the file is empty"),
        (b"echo hello\n", ENOEXEC, ': a script needs a first line like "#!/bin/sh"'),
        (b"\1\0\2 noise", ENOEXEC, ""),
        (b"\x7fELF", ENOEXEC, None),
        (elf(OWN)[:70], ENOENT, ""),
        (b"#! \n", ENOENT, ": its first line names no program"),
        (b"#! \n", ENOEXEC, ""),
        (b"#!/no/such\n", ENOEXEC, ""),
        (b"#!/bin/sh\n", EACCES, ""),
    ],
)
def test_the_first_bytes_say_why(tmp_path: Path, content: bytes, errno: int, reason: str | None) -> None:
    (tmp_path / "program").write_bytes(content)
    found = execreason.explain(KERNEL, os.fsencode(tmp_path / "program"), errno)
    assert reason is None or found == reason


def test_a_program_for_another_machine_is_named(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(elf())
    found = execreason.explain(KERNEL, os.fsencode(tmp_path / "program"), ENOEXEC)
    assert found.startswith(": it is made for ")
    assert ", this machine is " in found


@pytest.mark.parametrize(
    ("errno", "reason"),
    [
        (ENOENT, ", and the emulator for that is not in the image: register it in binfmt_misc with the flag F"),
        (ENOEXEC, "and has no emulator for it (install qemu-user-static)"),
    ],
)
def test_an_emulator_that_is_missing_is_what_is_named(tmp_path: Path, errno: int, reason: str) -> None:
    program, script = tmp_path / "program", tmp_path / "script"
    program.write_bytes(elf(loader=b"/lib/ld-musl.so.1\0"))
    script.write_text(f"#!{program}\n")
    assert reason in (found := execreason.explain(KERNEL, os.fsencode(program), errno))
    assert execreason.explain(KERNEL, os.fsencode(script), errno) == f": its interpreter {program}{found}"


def test_a_script_whose_interpreter_lacks_its_loader_says_which(tmp_path: Path) -> None:
    program, script = tmp_path / "program", tmp_path / "script"
    program.write_bytes(elf(OWN, b"/lib/ld-musl.so.1\0"))
    script.write_text(f"#!{program}\n")
    assert execreason.explain(KERNEL, os.fsencode(script), ENOENT) == (
        f": its interpreter {program}: its dynamic loader /lib/ld-musl.so.1 is not in the image"
    )
    script.write_text(f"#!{script}\n")
    assert execreason.explain(KERNEL, os.fsencode(script), ENOENT) == ""


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "nothing"):
        assert execreason.explain(KERNEL, os.fsencode(path), ENOENT) == ""


@pytest.mark.parametrize(
    ("content", "errno", "bare"),
    [
        (b"echo hello\n", ENOEXEC, True),
        ("echo grüße\n".encode(), ENOEXEC, True),
        (b"echo hello\n", EACCES, False),
        (b"#!/bin/sh\n", ENOEXEC, False),
        (b"", ENOEXEC, False),
        (elf(), ENOEXEC, False),
        (b"\1\0\2", ENOEXEC, False),
    ],
)
def test_a_text_that_names_no_interpreter_is_one_for_the_shell(
    tmp_path: Path, content: bytes, errno: int, bare: bool
) -> None:
    (tmp_path / "program").write_bytes(content)
    assert execreason.is_bare_script(KERNEL, os.fsencode(tmp_path / "program"), errno) is bare
