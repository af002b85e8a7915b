"""What one build is asked for: the arguments of a BuildImage operation, checked once."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from runtime.errors import InvalidParameter
from runtime.images import platform as platforms
from runtime.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the result goes beside the image store: a directory (`local`) or an archive (`tar`) of its files, or the image
    as an archive that `image load` (`docker`) or other tools (`oci`) read, or as an OCI layout directory (`layout`).

    `image` is the store itself, beside files.
    """

    type: Literal["local", "tar", "docker", "oci", "layout", "image"]
    dest: str = ""

    @property
    def is_files(self) -> bool:
        """Whether it is the files and no image."""
        return self.type in ("local", "tar")


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One build. Paths are absolute; see BuildImage in runtime.wire.plan for what each means."""

    context: str
    dockerfile: str = ""
    dockerfile_text: str | None = None
    tags: tuple[str, ...] = ()
    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    present: frozenset[str] = frozenset()
    check: bool = False
    network: str = "default"
    platforms: tuple[str, ...] = ("",)
    """At least one; empty is this machine's."""
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    """Agent's socket by id."""
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[Mapping[str, Any], ...] = ()
    privileged: bool = False
    outputs: tuple[Output, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    push: bool = False
    access: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH in seconds, if it was given; raises InvalidParameter."""
        text = self.build_args.get(EPOCH, "")
        if not text:
            return None
        if not text.isdigit():
            raise InvalidParameter(f"invalid SOURCE_DATE_EPOCH: {text}")
        return int(text)


def from_args(args: Mapping[str, Any]) -> BuildRequest:
    """Raises InvalidParameter."""
    for tag in args.get("Tags") or ():
        parse(tag)
    if args.get("Push") and not args.get("Tags"):
        raise InvalidParameter("tag is needed when pushing to registry")
    network = str(args.get("NetworkMode") or "default")
    if network not in ("default", "bridge", "host", "none"):
        raise InvalidParameter(f'network mode "{network}" not supported by buildkit')
    return BuildRequest(
        context=str(args.get("Context") or ""),
        dockerfile=str(args.get("Dockerfile") or ""),
        dockerfile_text=args.get("DockerfileInline"),
        tags=tuple(args.get("Tags") or ()),
        target=str(args.get("Target") or ""),
        build_args={str(name): str(value) for name, value in (args.get("BuildArgs") or {}).items()},
        labels=dict(args.get("Labels") or {}),
        contexts=dict(args.get("AdditionalContexts") or {}),
        no_cache=bool(args.get("NoCache")),
        no_cache_filter=tuple(args.get("NoCacheFilter") or ()),
        pull=bool(args.get("Pull")),
        present=frozenset(args.get("Present") or ()),
        check=bool(args.get("Check")),
        network="default" if network == "bridge" else network,
        platforms=_platforms(str(args.get("Platform") or "")),
        secrets={item["Id"]: _decoded(item) for item in args.get("Secrets") or ()},
        ssh={item["Id"]: str(item["Socket"]) for item in args.get("SSH") or ()},
        extra_hosts=tuple(args.get("ExtraHosts") or ()),
        shm_size=int(args.get("ShmSize") or 0),
        ulimits=tuple(args.get("Ulimits") or ()),
        privileged=bool(args.get("Privileged")),
        outputs=tuple(Output(type=item["Type"], dest=item.get("Dest", "")) for item in args.get("Outputs") or ()),
        cache_from=tuple(args.get("CacheFrom") or ()),
        cache_to=tuple(args.get("CacheTo") or ()),
        push=bool(args.get("Push")),
        access=dict(args.get("Access") or {}),
    )


def _platforms(text: str) -> tuple[str, ...]:
    """`linux/amd64,arm64` as single platforms, each once."""
    if "," not in text:
        return (text,)
    return tuple(dict.fromkeys(str(platforms.parse(each.strip())) for each in text.split(",") if each.strip()))


def _decoded(item: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(item["Data"], validate=True)
    except (binascii.Error, KeyError) as error:
        raise InvalidParameter(f"secret {item.get('Id')}: not base64") from error
