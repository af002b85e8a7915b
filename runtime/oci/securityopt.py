"""The options of `security_opt`, read once.

Labels and AppArmor profiles are accepted on machines without these modules, as Docker accepts them, and mean nothing
there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

UNCONFINED: Final = "unconfined"
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class SecurityOptions(NamedTuple):
    """What the options say; an empty `seccomp` is the default profile, else it is `unconfined` or a profile's JSON."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    system_paths_unconfined: bool = False
    writable_cgroups: bool = False


def parse(options: Sequence[str], *, apparmor: bool = True) -> SecurityOptions:
    """Read `name`, `name=value` and the older `name:value`; InvalidParameter for anything unknown.

    `apparmor` is whether the machine has it: the kernel takes a profile, `unconfined` too, only then.
    """
    found = SecurityOptions()
    for option in options:
        if option == "no-new-privileges":
            found = found._replace(no_new_privileges=True)
            continue
        if option in ("disable", "writable-cgroups"):
            found = found._replace(writable_cgroups=found.writable_cgroups or option == "writable-cgroups")
            continue
        name, separator, value = option.partition("=")
        if not separator or ":" in name:
            name, separator, value = option.partition(":")
        if not separator:
            raise InvalidParameter(f'invalid security option: "{option}"')
        found = _apply(found, option, name, value)
    return found if apparmor else found._replace(apparmor="")


def _apply(found: SecurityOptions, option: str, name: str, value: str) -> SecurityOptions:
    if name == "label":
        return found
    if name == "seccomp":
        return found._replace(seccomp="" if value in ("builtin", "default") else value)
    if name == "apparmor":
        return found._replace(apparmor=value)
    if name == "systempaths" and value == UNCONFINED:
        return found._replace(system_paths_unconfined=True)
    if name == "no-new-privileges":
        return found._replace(no_new_privileges=_boolean(option, value))
    if name == "writable-cgroups":
        return found._replace(writable_cgroups=_boolean(option, value))
    raise InvalidParameter(f'invalid security option: "{option}"')


def _boolean(option: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise InvalidParameter(f'invalid security option: "{option}"')
    return value in _TRUE
