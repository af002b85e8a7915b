"""Whether this machine can run another architecture's programs: by itself, or by an emulator that the kernel knows.

The kernel is asked by executing an ELF header. Its table of emulators may be out of sight, as in a container, and their
names are free.
"""

from __future__ import annotations

import os
from errno import ENOEXEC
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runtime.errors import NotSupported
from runtime.images import platform as platforms
from runtime.linux import elf

if TYPE_CHECKING:
    from collections.abc import Mapping


def check(document: Mapping[str, Any]) -> None:
    """Raises NotSupported where programs of an image with this configuration cannot be run here."""
    wanted = platforms.of_config(dict(document))
    if wanted is not None and not _runs(wanted.architecture):
        text = "/".join(filter(None, wanted))
        raise NotSupported(
            f"platform {text}: its programs cannot be run on this machine, no emulator for them is registered in "
            "binfmt_misc (install qemu-user-static)",
            platform=text,
        )


@lru_cache(maxsize=16)
def _runs(architecture: str) -> bool:
    if architecture in elf.native(platforms.local().architecture):
        return True
    program = elf.header(architecture)
    return bool(program) and _refusal(program) != ENOEXEC


def _refusal(program: bytes) -> int:
    """The errno of executing it; 0 when something ran it, if only to find it empty.

    Other errors than ENOEXEC may be different in the container: an emulator without the flag F is looked for in there.
    """
    fd = os.memfd_create("program", os.MFD_CLOEXEC)
    try:
        os.write(fd, program)
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        pid = os.posix_spawn(f"/proc/self/fd/{fd}", ["program"], {}, file_actions=quiet)
    except OSError as error:
        return error.errno or 0
    finally:
        os.close(fd)
    os.waitpid(pid, 0)
    return 0
