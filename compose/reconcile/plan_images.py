"""Plan how the images of services get here: which must be pulled, and why.

Pure: the clock is an argument. What a pull needs to know about the user (credentials, proxies) is put into the
operations by whoever submits the plan.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.model.naming import image_name
from compose.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import PlanBuilder

ALWAYS = "always"
NEVER = frozenset({"never", "build"})
PRESENT = frozenset({"", "missing", "if_not_present"})
PERIODS = {"daily": 86400, "weekly": 7 * 86400}
SECONDS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_EVERY = re.compile(r"every_((?:\d+[wdhms])+)")


class Wanted(Record):
    """An image that a service needs."""

    service: str
    reference: str
    platform: str = ""
    policy: str = ""
    buildable: bool = False
    """A failed pull is no failure: it can be built."""
    from_build: bool = False
    """Nothing to pull: its name is only what a build gives it."""


def wanted_images(project: Project, services: Iterable[ServiceConfig]) -> list[Wanted]:
    """The images that services and their image mounts need, in order."""
    found = []
    for service in services:
        if service.provider is not None:
            continue
        found.append(
            Wanted(
                service=service.name,
                reference=image_name(project, service),
                platform=service.platform,
                policy=service.pull_policy,
                buildable=service.build is not None,
                from_build=not service.image,
            )
        )
        found += [
            Wanted(service=f"{service.name}:volume {position}", reference=mount.source, platform=service.platform)
            for position, mount in enumerate(service.volumes)
            if mount.type == "image" and mount.source
        ]
    return found


def plan_images(
    builder: PlanBuilder, wanted: Iterable[Wanted], observed: ObservedState, *, now: float, quiet: bool = False
) -> dict[str, int]:
    """Add the pulls that must be; reference to operation. `now` in seconds since 1970.

    Raises ComposeError for a pull policy that says nothing.
    """
    added: dict[str, int] = {}
    for image in wanted:
        cause = pull_cause(image, observed.images.get(image.reference), now)
        if cause and image.reference not in added:
            added[image.reference] = pull(builder, image, cause, quiet=quiet)
    return added


def pull(builder: PlanBuilder, image: Wanted, cause: str, *, quiet: bool = False, optional: bool | None = None) -> int:
    """Add one pull; `optional`: go on if it fails (by default if the image can be built)."""
    args: dict[str, Any] = {"Reference": image.reference, "Policy": "missing" if cause == "missing" else ALWAYS}
    if image.platform:
        args["Platform"] = image.platform
    if quiet:
        args["Quiet"] = True
    return builder.add(
        "PullImage",
        subject=f"image:{image.reference}",
        resource=f"pull {image.service}",
        cause=cause,
        args=args,
        optional=image.buildable if optional is None else optional,
    )


def pull_cause(image: Wanted, present: Mapping[str, Any] | None, now: float) -> str:
    """Why an image must be pulled; "" if it need not be. Raises ComposeError for an unknown policy."""
    policy = image.policy
    period = refresh_period(policy)
    if image.from_build or policy in NEVER:
        return ""
    if policy == ALWAYS:
        return "pull_policy: always"
    if present is None:
        return "missing"
    if image.platform and not is_for(present, image.platform):
        return f"the one here is for {platform_of(present)}, not {image.platform}"
    if period is None:
        return ""
    pulled = _seconds(str((present.get("Metadata") or {}).get("LastTagTime") or ""))
    return f"pull_policy: {policy}" if now >= pulled + period else ""


def refresh_period(policy: str) -> int | None:
    """Seconds after which an image is pulled again; None for policies without. Raises ComposeError for unknown ones."""
    if policy in PRESENT or policy in NEVER or policy == ALWAYS:
        return None
    if policy in PERIODS:
        return PERIODS[policy]
    match = _EVERY.fullmatch(policy)
    if match is None:
        raise ComposeError(f"invalid pull_policy: {policy}")
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([wdhms])", match[1]))


def is_for(image: Mapping[str, Any], platform: str) -> bool:
    """Whether an image is for a platform as a compose file writes it; what it does not say fits."""
    parts = platform.lower().split("/")
    os, architecture = (parts[0], parts[1]) if len(parts) > 1 else ("linux", parts[0])
    if architecture == os:
        return True
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(architecture, architecture)
    variant = parts[2] if len(parts) > 2 else ""
    said = str(image.get("Variant") or "")
    return (
        (image.get("Os") or os) == os
        and (image.get("Architecture") or architecture) == architecture
        and (not variant or not said or said == variant)
    )


def platform_of(image: Mapping[str, Any]) -> str:
    """`linux/arm64` of an image."""
    return "/".join(filter(None, (image.get("Os"), image.get("Architecture"), image.get("Variant"))))


def _seconds(moment: str) -> float:
    """An RFC 3339 time as the engine writes it, in seconds; 0 if it is none."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", moment.replace("Z", "+00:00"))).timestamp()
    except ValueError:
        return 0.0
