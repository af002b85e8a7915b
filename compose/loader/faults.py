"""Refuses values of one service that no engine takes: before anything is created, the place named.

Where a variable without value stood, a value may be wrong for want of it: that was warned of, and is refused by whoever
uses the value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compose.model.capabilities import CAPABILITIES
from compose.model.project import nearest

if TYPE_CHECKING:
    from compose.loader.examination import Checks
    from compose.loader.tree import Path
    from compose.model.service import ServiceConfig

_RESTART = re.compile(r"(no|always|unless-stopped|on-failure(:\d+)?)?\Z")
_RESTARTS = ("no", "always", "unless-stopped", "on-failure")
_SYSCTL = re.compile(
    r"(net[./].+|fs[./]mqueue[./].+|kernel[./](msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced"
    r"|domainname|hostname))\Z"
)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:{_DOMAIN}(?:\.{_DOMAIN})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z",
    re.ASCII,
)
_HOLE = re.compile(r"(?<![^-._:@/])(?=[-._:@/]|\Z)")
"""Where a variable without value stood: nothing between two separators, or between one and an end."""
_DIGEST_HOLE = re.compile(r"@(x|[a-z0-9]+:x)\Z")


def find_faults(checks: Checks) -> None:
    """Report every value of a service that the engine would refuse."""
    for service in checks.project.services.values():
        _restart(checks, service)
        _capabilities(checks, service)
        _sysctls(checks, service)
        _devices(checks, service)
        _image(checks, service)
        _targets(checks, service)
        _name(checks, service)


def _restart(checks: Checks, service: ServiceConfig) -> None:
    if _RESTART.match(service.restart):
        return
    checks.fail(
        f"invalid restart policy: unknown policy '{service.restart}'; use one of 'no', 'always', 'on-failure', or"
        " 'unless-stopped'",
        ("services", service.name, "restart"),
        suggestion=nearest(service.restart, _RESTARTS),
        unless_interpolated=True,
    )


def _capabilities(checks: Checks, service: ServiceConfig) -> None:
    for attribute, names in (("cap_add", service.cap_add), ("cap_drop", service.cap_drop)):
        for index, name in enumerate(names):
            bare = name.upper().removeprefix("CAP_")
            if bare != "ALL" and bare not in CAPABILITIES:
                checks.fail(
                    f'invalid capability: unknown capability "CAP_{bare}"',
                    ("services", service.name, attribute, index),
                    suggestion=nearest(bare, CAPABILITIES),
                    unless_interpolated=True,
                )


def _sysctls(checks: Checks, service: ServiceConfig) -> None:
    for name in service.sysctls:
        if not _SYSCTL.match(name):
            checks.fail(
                f'sysctl "{name}" is not in a separate kernel namespace',
                ("services", service.name, "sysctls", name),
                unless_interpolated=True,
                expected="net.*, fs.mqueue.*, or kernel.msg*, kernel.sem, kernel.shm*",
            )


def _devices(checks: Checks, service: ServiceConfig) -> None:
    for index, device in enumerate(service.devices):
        if device.permissions and set(device.permissions) - set("rwm"):
            checks.fail(
                f'invalid device mode "{device.permissions}" of {device.source}',
                ("services", service.name, "devices", index),
                expected="some of r, w and m",
                unless_interpolated=True,
            )


def _image(checks: Checks, service: ServiceConfig) -> None:
    image = service.image
    if not image or _IMAGE.match(image) or re.fullmatch(r"[0-9a-f]{64}", image):
        return
    path: Path = ("services", service.name, "image")
    if checks.is_interpolated(path) and _IMAGE.match(_DIGEST_HOLE.sub("", _HOLE.sub("x", image))):
        return
    if _IMAGE.match(image.lower()):
        checks.fail(
            f"invalid reference format: repository name ({image.split(':')[0]}) must be lowercase",
            path,
            suggestion=image.lower(),
        )
        return
    checks.fail(f'invalid reference format: "{image}"', path, expected="[registry/]name[:tag][@digest]")


def _name(checks: Checks, service: ServiceConfig) -> None:
    if service.container_name and not _NAME.fullmatch(service.container_name):
        checks.fail(
            f"'{service.container_name}' does not match pattern '{_NAME.pattern}'",
            ("services", service.name, "container_name"),
            unless_interpolated=True,
            expected="two or more letters, digits, underscores, dots and hyphens",
        )


def _targets(checks: Checks, service: ServiceConfig) -> None:
    for index, volume in enumerate(service.volumes):
        path: Path = ("services", service.name, "volumes", index)
        if not volume.target.startswith("/") and not re.match(r"[a-zA-Z]:", volume.target):
            text = f"invalid mount path: '{volume.target}' mount path must be absolute"
            checks.fail(text, path, expected="an absolute path in the container", unless_interpolated=True)
        elif volume.target == "/":
            checks.fail("invalid volume specification: destination can't be '/'", path)
