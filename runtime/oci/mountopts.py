"""Mount options of fstab and the OCI spec as kernel flags.

Options that are not flags are data for the file system. A bind takes its flags by mount_setattr, which only sets and
clears what it is told: flags of the source (a host's read-only mount, say) stay.
"""

from __future__ import annotations

from typing import Final

from runtime.errors import InvalidParameter
from runtime.linux import constants as c

# option: (mount(2) flag, the flag is cleared)
_FLAGS: Final = {
    "defaults": (0, False),
    "async": (c.MS_SYNCHRONOUS, True),
    "atime": (c.MS_NOATIME, True),
    "dev": (c.MS_NODEV, True),
    "diratime": (c.MS_NODIRATIME, True),
    "dirsync": (c.MS_DIRSYNC, False),
    "exec": (c.MS_NOEXEC, True),
    "lazytime": (c.MS_LAZYTIME, False),
    "loud": (c.MS_SILENT, True),
    "mand": (c.MS_MANDLOCK, False),
    "noatime": (c.MS_NOATIME, False),
    "nodev": (c.MS_NODEV, False),
    "nodiratime": (c.MS_NODIRATIME, False),
    "noexec": (c.MS_NOEXEC, False),
    "nolazytime": (c.MS_LAZYTIME, True),
    "nomand": (c.MS_MANDLOCK, True),
    "norelatime": (c.MS_RELATIME, True),
    "nostrictatime": (c.MS_STRICTATIME, True),
    "nosuid": (c.MS_NOSUID, False),
    "nosymfollow": (c.MS_NOSYMFOLLOW, False),
    "relatime": (c.MS_RELATIME, False),
    "ro": (c.MS_RDONLY, False),
    "rw": (c.MS_RDONLY, True),
    "silent": (c.MS_SILENT, False),
    "strictatime": (c.MS_STRICTATIME, False),
    "suid": (c.MS_NOSUID, True),
    "symfollow": (c.MS_NOSYMFOLLOW, True),
    "sync": (c.MS_SYNCHRONOUS, False),
}
_PROPAGATION: Final = {
    "private": c.MS_PRIVATE,
    "rprivate": c.MS_PRIVATE | c.MS_REC,
    "shared": c.MS_SHARED,
    "rshared": c.MS_SHARED | c.MS_REC,
    "slave": c.MS_SLAVE,
    "rslave": c.MS_SLAVE | c.MS_REC,
    "unbindable": c.MS_UNBINDABLE,
    "runbindable": c.MS_UNBINDABLE | c.MS_REC,
}
_ATTRIBUTES: Final = (
    (c.MS_RDONLY, c.MOUNT_ATTR_RDONLY),
    (c.MS_NOSUID, c.MOUNT_ATTR_NOSUID),
    (c.MS_NODEV, c.MOUNT_ATTR_NODEV),
    (c.MS_NOEXEC, c.MOUNT_ATTR_NOEXEC),
    (c.MS_NODIRATIME, c.MOUNT_ATTR_NODIRATIME),
    (c.MS_NOSYMFOLLOW, c.MOUNT_ATTR_NOSYMFOLLOW),
)
# "rro" and the like: the same attribute on the whole tree
_RECURSIVE: Final = {
    "rro": (c.MS_RDONLY, False),
    "rrw": (c.MS_RDONLY, True),
    "rnosuid": (c.MS_NOSUID, False),
    "rsuid": (c.MS_NOSUID, True),
    "rnodev": (c.MS_NODEV, False),
    "rdev": (c.MS_NODEV, True),
    "rnoexec": (c.MS_NOEXEC, False),
    "rexec": (c.MS_NOEXEC, True),
    "rnodiratime": (c.MS_NODIRATIME, False),
    "rdiratime": (c.MS_NODIRATIME, True),
    "rrelatime": (c.MS_RELATIME, False),
    "rnoatime": (c.MS_NOATIME, False),
    "rstrictatime": (c.MS_STRICTATIME, False),
    "rnosymfollow": (c.MS_NOSYMFOLLOW, False),
    "rsymfollow": (c.MS_NOSYMFOLLOW, True),
}
_IGNORED: Final = frozenset({"auto", "noauto", "user", "nouser", "users", "nofail", "_netdev"})


class MountOptions:
    """`flags`/`cleared`: MS_* bits; `rec_flags`/`rec_cleared`: the same for the whole tree; `bind`: 0, MS_BIND (| MS_REC)."""

    __slots__ = ("bind", "cleared", "copy_up", "data", "flags", "propagation", "rec_cleared", "rec_flags")

    def __init__(self) -> None:
        self.bind = 0
        self.flags = 0
        self.cleared = 0
        self.rec_flags = 0
        self.rec_cleared = 0
        self.propagation = 0
        self.copy_up = False
        self.data: list[str] = []


def parse(options: list[str]) -> MountOptions:
    """Sort `options` by what they are; later ones win. Raises InvalidParameter for one that is no text."""
    found = MountOptions()
    for option in options:
        if not isinstance(option, str) or "\0" in option:
            raise InvalidParameter(f"mount option {option!r}: not a text")
        if option in _FLAGS:
            flag, clear = _FLAGS[option]
            found.flags, found.cleared = _apply(found.flags, found.cleared, flag, clear)
        elif option in _PROPAGATION:
            found.propagation = _PROPAGATION[option]
        elif option in {"bind", "rbind"}:
            found.bind = c.MS_BIND | (c.MS_REC if option == "rbind" else 0)
        elif option in _RECURSIVE:
            flag, clear = _RECURSIVE[option]
            found.rec_flags, found.rec_cleared = _apply(found.rec_flags, found.rec_cleared, flag, clear)
        elif option == "tmpcopyup":
            found.copy_up = True
        elif option and option not in _IGNORED:
            found.data.append(option)
    return found


def known() -> list[str]:
    """Every option that is a flag, for the features document."""
    return sorted({*_FLAGS, *_PROPAGATION, *_RECURSIVE, "bind", "rbind", "tmpcopyup"})


def _apply(flags: int, cleared: int, flag: int, clear: bool) -> tuple[int, int]:
    return (flags & ~flag, cleared | flag) if clear else (flags | flag, cleared & ~flag)


def attributes(flags: int, cleared: int) -> tuple[int, int]:
    """MOUNT_ATTR_* to (set, clear) for MS_* flags; an access time mode replaces the one before."""
    attr_set = attr_clr = 0
    for flag, attribute in _ATTRIBUTES:
        attr_set |= attribute if flags & flag else 0
        attr_clr |= attribute if cleared & flag else 0
    if flags & (c.MS_NOATIME | c.MS_STRICTATIME | c.MS_RELATIME):
        attr_clr |= c.MOUNT_ATTR_ATIME
        if flags & c.MS_STRICTATIME:
            attr_set |= c.MOUNT_ATTR_STRICTATIME
        elif flags & c.MS_NOATIME:
            attr_set |= c.MOUNT_ATTR_NOATIME
    return attr_set, attr_clr
