"""From Docker's many ways to say "mount" to one list of OCI mounts and one of mount points for inspect.

Pure: what must be known of the host comes in through `Facts`, what must be done there goes out in `Resolved`. Docker's
order of precedence: binds and mounts replace what volumes_from brought; volumes of the image fill what is left free.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, NotSupported
from runtime.volumes.bindspec import PROPAGATIONS, clean_target, propagation, split
from runtime.volumes.store import ANONYMOUS_LABEL, VolumeInspect, check_name, check_options, driver_mount
from runtime.wire.containers import MountPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.wire.containers import HostConfig, Mount

_KINDS: Final = ("bind", "volume", "tmpfs", "image")
_TMPFS_DEFAULTS: Final = ("noexec", "nosuid", "nodev")


def _no_images(reference: str) -> list[str]:
    raise NotSupported(f"image {reference}: mounts of type image are not available here")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What resolve asks about the host."""

    volume: Callable[[str], VolumeInspect | None]
    """A volume by name."""
    mountpoint: Callable[[str], str]
    """Where a volume's data lies, or will once it is made."""
    path_kind: Callable[[str], str]
    """`dir`, `file` (anything else that exists) or empty for a host path."""
    new_name: Callable[[], str] = lambda: os.urandom(32).hex()
    """A name for an anonymous volume."""
    image_layers: Callable[[str], list[str]] = _no_images
    """Layer directories of an image, top first."""
    driver_mount: Callable[[VolumeInspect], dict[str, Any] | None] = driver_mount


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a container's mounts come to; all of it JSON."""

    mounts: list[dict[str, Any]]
    """OCI mounts, parents before children, with the private keys `x-copy-up`, `x-subpath`, `x-create`.

    Without the tmpfs of HostConfig itself, whose options the spec generator reads there; a volume whose driver says
    tmpfs, and one of another container, are among them.
    """
    points: list[MountPoint]
    """For inspect, in the same order; without HostConfig.Tmpfs, as Docker."""
    create: list[dict[str, Any]]
    """Volumes to make first: `Name`, `Driver`, `DriverOpts`, `Labels`."""
    directories: list[str]
    """Host directories to make first (missing sources of binds)."""
    anonymous: list[str]
    """Names of the anonymous volumes this container has, old and new."""
    root_propagation: str
    """For linux.rootfsPropagation: `rshared` or `rslave` if a mount asks for it, else empty."""


@dataclass(kw_only=True)
class _Item:
    """One mount on its way."""

    point: MountPoint
    options: list[str] = field(default_factory=list)
    copy: bool = True
    driver: dict[str, Any] | None = None
    layers: list[str] = field(default_factory=list)
    listed: bool = True
    generated: bool = False
    """Whether the spec generator makes the mount from HostConfig."""


def resolve(
    host: HostConfig,
    image_volumes: Iterable[str],
    facts: Facts,
    *,
    inherited: Mapping[str, str] | None = None,
    volumes_from: Sequence[tuple[Sequence[MountPoint], str]] = (),
) -> Resolved:
    """All mounts of one container.

    `image_volumes`: targets that the image or Config.Volumes declare. `inherited`: target to name of the anonymous
    volumes of the container that this one replaces. `volumes_from`: mount points and mode of each other container.
    Raises InvalidParameter with Docker's words.
    """
    resolver = _Resolver(facts, dict(inherited or {}))
    for points, mode in volumes_from:
        resolver.volumes_from(points, mode)
    for text in host.get("Binds") or ():
        resolver.bind_text(text)
    for mount in host.get("Mounts") or ():
        resolver.mount(mount)
    for target, text in (host.get("Tmpfs") or {}).items():
        resolver.tmpfs_text(target, text)
    for target in image_volumes:
        resolver.image_volume(target)
    return resolver.result()


class _Resolver:
    def __init__(self, facts: Facts, inherited: dict[str, str]) -> None:
        self._facts = facts
        self._inherited = inherited
        self._items: dict[str, _Item] = {}
        self._from_others: set[str] = set()
        self._create: dict[str, dict[str, Any]] = {}
        self._directories: list[str] = []
        self._anonymous: list[str] = []

    def volumes_from(self, points: Sequence[MountPoint], mode: str) -> None:
        if mode not in ("", "rw", "ro", "z", "Z"):
            raise InvalidParameter(f"invalid mode: {mode}")
        for other in points:
            point = MountPoint(**other)
            point["RW"] = bool(point.get("RW", True)) and mode != "ro"
            item = _Item(point=point, copy=False)
            if point.get("Type") == "tmpfs":
                item.options = [*_TMPFS_DEFAULTS, *([] if point["RW"] else ["ro"])]
            elif point.get("Type") == "volume":
                item.driver = self._driver(point["Name"])
            elif point.get("Type") == "image":
                continue
            self._items[point["Destination"]] = item
            self._from_others.add(point["Destination"])

    def bind_text(self, text: str) -> None:
        source, target, words = split(text)
        writable, mode = "ro" not in words, ",".join(words)
        if source.startswith("/"):
            target = clean_target("bind", target)
            if not self._facts.path_kind(source):
                self._directories.append(source)
            self._add(self._bind(source, target, writable, mode, propagation(words)))
            return
        target = clean_target("volume", target)
        if propagation(words):
            raise InvalidParameter(f"invalid mode: {mode}")
        item = self._volume(source, target, {}, writable, mode)
        item.copy = "nocopy" not in words
        self._add(item)

    def mount(self, mount: Mount) -> None:
        kind = str(mount.get("Type") or "")
        if kind not in _KINDS:
            raise InvalidParameter(f'mount type unknown: "{kind}"')
        target = clean_target(kind, mount.get("Target") or "")
        writable = not mount.get("ReadOnly")
        if kind == "bind":
            self._add(self._typed_bind(mount, target, writable))
        elif kind == "volume":
            self._add(self._typed_volume(mount, target, writable))
        elif kind == "tmpfs":
            if mount.get("Source"):
                raise InvalidParameter('invalid mount config for type "tmpfs": field Source must not be specified')
            self._add(self._typed_tmpfs(mount, target, writable))
        else:
            self._add(self._image(mount, target))

    def tmpfs_text(self, target: str, text: str) -> None:
        target = clean_target("tmpfs", target)
        writable = "ro" not in text.split(",")
        point = MountPoint(Type="tmpfs", Source="", Destination=target, Mode="", RW=writable)
        self._add(_Item(point=point, listed=False, generated=True))

    def image_volume(self, target: str) -> None:
        target = clean_target("volume", target)
        if target not in self._items:
            self._items[target] = self._volume("", target, {}, True, "")

    def result(self) -> Resolved:
        # a mount on a path hides what was mounted below it before
        items = sorted(self._items.values(), key=lambda item: item.point["Destination"].count("/"))
        wanted = {item.point.get("Propagation", "").removeprefix("r") for item in items}
        return Resolved(
            mounts=[self._oci(item) for item in items if not item.generated],
            points=[item.point for item in items if item.listed],
            create=list(self._create.values()),
            directories=self._directories,
            anonymous=self._anonymous,
            root_propagation="rshared" if "shared" in wanted else "rslave" if "slave" in wanted else "",
        )

    def _add(self, item: _Item) -> None:
        target = item.point["Destination"]
        if target in self._items and target not in self._from_others:
            raise InvalidParameter(f"duplicate mount point: {target}")
        self._from_others.discard(target)
        self._items[target] = item

    def _bind(self, source: str, target: str, writable: bool, mode: str, spread: str) -> _Item:
        point = MountPoint(
            Type="bind", Source=source, Destination=target, Mode=mode, RW=writable, Propagation=spread or "rprivate"
        )
        return _Item(point=point)

    def _typed_bind(self, mount: Mount, target: str, writable: bool) -> _Item:
        source = mount.get("Source") or ""
        if not source:
            raise InvalidParameter('invalid mount config for type "bind": field Source must not be empty')
        if not source.startswith("/"):
            raise InvalidParameter(
                f"invalid mount config for type \"bind\": invalid mount path: '{source}' mount path must be absolute"
            )
        options = mount.get("BindOptions") or {}
        spread = str(options.get("Propagation") or "")
        if spread and spread not in PROPAGATIONS:
            raise InvalidParameter(f'invalid mount config for type "bind": invalid propagation mode: {spread}')
        if not self._facts.path_kind(source):
            if not options.get("CreateMountpoint"):
                raise InvalidParameter(
                    f'invalid mount config for type "bind": bind source path does not exist: {source}', path=source
                )
            self._directories.append(source)
        item = self._bind(source, target, writable, "", spread)
        if options.get("NonRecursive"):
            item.options.append("bind")
        if not writable and options.get("ReadOnlyNonRecursive"):
            item.options.append("ro")
        return item

    def _typed_tmpfs(self, mount: Mount, target: str, writable: bool) -> _Item:
        options = mount.get("TmpfsOptions") or {}
        size, mode = int(options.get("SizeBytes") or 0), int(options.get("Mode") or 0)
        if size < 0 or not 0 <= mode <= 0o7777:
            raise InvalidParameter(f'invalid mount config for type "tmpfs": size {size} or mode {mode:o} out of range')
        point = MountPoint(Type="tmpfs", Source="", Destination=target, Mode="", RW=writable, Propagation="")
        return _Item(point=point, generated=True)

    def _typed_volume(self, mount: Mount, target: str, writable: bool) -> _Item:
        options = dict(mount.get("VolumeOptions") or {})
        item = self._volume(mount.get("Source") or "", target, options, writable, "z")
        subpath = str(options.get("Subpath") or "")
        if subpath:
            if subpath.startswith("/") or ".." in subpath.split("/"):
                raise InvalidParameter(
                    'invalid mount config for type "volume": subpath must be a relative path within the volume'
                )
            item.point["Subpath"] = subpath
        item.copy = not options.get("NoCopy") and not subpath
        return item

    def _volume(self, name: str, target: str, options: dict[str, Any], writable: bool, mode: str) -> _Item:
        labels = {str(key): str(value) for key, value in (options.get("Labels") or {}).items()}
        if name:
            check_name(name)
        else:
            inherited = self._inherited.get(target, "")
            name = inherited if inherited and self._facts.volume(inherited) else self._facts.new_name()
            labels.setdefault(ANONYMOUS_LABEL, "")
            self._anonymous.append(name)
        if self._facts.volume(name) is None and name not in self._create:
            driver = options.get("DriverConfig") or {}
            driver_options = {str(key): str(value) for key, value in (driver.get("Options") or {}).items()}
            check_options(driver_options)
            self._create[name] = {
                "Name": name,
                "Driver": str(driver.get("Name") or "local"),
                "DriverOpts": driver_options,
                "Labels": labels,
            }
        point = MountPoint(
            Type="volume",
            Name=name,
            Source=self._facts.mountpoint(name),
            Destination=target,
            Driver="local",
            Mode=mode,
            RW=writable,
            Propagation="",
        )
        return _Item(point=point, driver=self._driver(name))

    def _driver(self, name: str) -> dict[str, Any] | None:
        volume = self._facts.volume(name)
        if volume is None:
            fresh = self._create.get(name)
            if fresh is None or not fresh["DriverOpts"]:
                return None
            volume = VolumeInspect(
                Name=name,
                Driver=fresh["Driver"],
                Mountpoint=self._facts.mountpoint(name),
                Labels={},
                Options=fresh["DriverOpts"],
                CreatedAt="",
                Scope="local",
            )
        return self._facts.driver_mount(volume)

    def _image(self, mount: Mount, target: str) -> _Item:
        reference = mount.get("Source") or ""
        if not reference:
            raise InvalidParameter('invalid mount config for type "image": field Source must not be empty')
        point = MountPoint(Type="image", Source=reference, Destination=target, Mode="", RW=False, Propagation="")
        subpath = str((dict(mount).get("ImageOptions") or {}).get("Subpath") or "")  # type: ignore[attr-defined]
        layers = self._facts.image_layers(reference)
        if not layers:
            raise NotSupported(f"mount {target}: image {reference} has no layers of its own to mount")
        if subpath and len(layers) > 1:
            raise NotSupported(f"mount {target}: a subpath of image {reference}, which has several layers")
        if subpath:
            point["Subpath"] = subpath
        return _Item(point=point, layers=layers)

    def _oci(self, item: _Item) -> dict[str, Any]:
        point = item.point
        mount: dict[str, Any] = {"destination": point["Destination"], "x-create": "dir"}
        if point.get("Subpath"):
            mount["x-subpath"] = point["Subpath"]
        if point["Type"] == "tmpfs":
            return mount | {"type": "tmpfs", "source": "tmpfs", "options": [*item.options, "rprivate"]}
        if point["Type"] == "image":
            return mount | _image_mount(item.layers)
        if item.driver is not None and item.driver["type"] != "bind":
            access = [] if point["RW"] else ["ro"]
            return mount | item.driver | {"options": [*item.driver["options"], *access]}
        source = item.driver["source"] if item.driver is not None else point["Source"]
        if point["Type"] == "bind" and self._facts.path_kind(source) == "file":
            mount["x-create"] = "file"
        if point["Type"] == "volume" and item.copy:
            mount["x-copy-up"] = True
        return mount | {"type": "bind", "source": source, "options": _bind_options(item)}


def _bind_options(item: _Item) -> list[str]:
    options = ["bind" if "bind" in item.options else "rbind"]
    options += [word for word in (item.driver or {}).get("options", ()) if word not in ("bind", "rbind", "rw")]
    if not item.point["RW"]:
        # what is mounted below the source is read-only as well, unless that was declined
        options += ["ro"] if "ro" in item.options or "bind" in item.options else ["ro", "rro"]
    if spread := item.point.get("Propagation"):
        options.append(spread)
    return options


def _image_mount(layers: list[str]) -> dict[str, Any]:
    if len(layers) == 1:
        return {"type": "bind", "source": layers[0], "options": ["bind", "ro", "rprivate"]}
    escaped = [layer.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for layer in layers]
    return {"type": "overlay", "source": "overlay", "options": ["ro", f"lowerdir={':'.join(escaped)}"]}
