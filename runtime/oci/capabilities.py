"""Capabilities by name and number, and Docker's rules for adding and dropping them.

Inheritable and ambient sets are always empty: with them a program of the image could pass capabilities on to what
should have lost them (CVE-2022-24769).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

_KERNEL_ORDER: Final = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DOCKER_DEFAULT: Final = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
    AUDIT_WRITE
"""

NAMES: Final = tuple(f"CAP_{name}" for name in _KERNEL_ORDER.split())
"""In the order of their numbers."""

NUMBERS: Final = {name: number for number, name in enumerate(NAMES)}
ALL: Final = frozenset(NAMES)

DEFAULT: Final = tuple(f"CAP_{name}" for name in _DOCKER_DEFAULT.split())
"""What a container has when nothing is said: mask 0xa80425fb."""


def grant(
    cap_add: Sequence[str], cap_drop: Sequence[str], *, privileged: bool, available: AbstractSet[str] = ALL
) -> list[str]:
    """The capabilities of a container, in the order of their numbers.

    `available` is the bounding set that we have ourselves: defaults beyond it are left out, an explicit addition beyond
    it is refused. `ALL` adds all that are available, then drops; a dropped `ALL` leaves the added ones. An addition
    wins over a drop of the same name. Raises InvalidParameter for an unknown or unavailable name.
    """
    if privileged:
        return _sorted(available)
    added = _normalize("CapAdd", cap_add, available)
    dropped = _normalize("CapDrop", cap_drop, ALL)
    if "ALL" in added:
        return _sorted(available - dropped)
    kept = frozenset[str]() if "ALL" in dropped else available & frozenset(DEFAULT) - dropped
    return _sorted(kept | added)


def mask(names: Iterable[str]) -> int:
    """The 64-bit set of the named capabilities; unknown names (of a newer kernel) are left out."""
    bits = 0
    for name in names:
        number = NUMBERS.get(name)
        if number is not None:
            bits |= 1 << number
    return bits


def names_of(bits: int) -> frozenset[str]:
    """The names of a 64-bit set; numbers that we know no name for are left out."""
    return frozenset(name for number, name in enumerate(NAMES) if bits >> number & 1)


def sets(names: Sequence[str]) -> dict[str, list[str]]:
    """`process.capabilities` of the OCI spec."""
    held = list(names)
    return {"bounding": held, "effective": held, "permitted": held, "inheritable": [], "ambient": []}


def _normalize(field: str, names: Sequence[str], available: AbstractSet[str]) -> frozenset[str]:
    found = set()
    for name in names:
        upper = str(name).upper()
        if upper == "ALL":
            found.add(upper)
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in ALL:
            raise InvalidParameter(f'invalid {field}: unknown capability: "{full}"', capability=full)
        if full not in available:
            raise InvalidParameter(
                f'invalid {field}: capability not supported by your kernel or not available in the current environment: "{full}"',
                capability=full,
            )
        found.add(full)
    return frozenset(found)


def _sorted(names: AbstractSet[str]) -> list[str]:
    return [name for name in NAMES if name in names]
