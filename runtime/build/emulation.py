"""Whether this machine can run another architecture's programs: by itself, or by an emulator that the kernel knows."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import NotSupported
from runtime.images import platform as platforms
from runtime.linux import hostfacts

if TYPE_CHECKING:
    from collections.abc import Mapping

BINFMT: Final = "/proc/sys/fs/binfmt_misc"
_EMULATORS: Final = {
    "386": "i386",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_NATIVE: Final = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}
"""What a processor runs besides its own."""


def check(document: Mapping[str, Any]) -> None:
    """Raises NotSupported where programs of an image with this configuration cannot be run here."""
    wanted = platforms.of_config(dict(document))
    if wanted is not None and not _runs(wanted.architecture):
        text = "/".join(filter(None, wanted))
        raise NotSupported(
            f"platform {text}: its programs cannot be run on this machine, no emulator for them is registered in {BINFMT} "
            "(install qemu-user-static)",
            platform=text,
        )


@lru_cache(maxsize=16)
def _runs(architecture: str) -> bool:
    local = platforms.local().architecture
    if architecture in _NATIVE.get(local, (local,)):
        return True
    emulator = f"{BINFMT}/qemu-{_EMULATORS.get(architecture, architecture)}"
    return os.path.exists(emulator) and hostfacts.read_text(emulator).startswith("enabled")
