"""Everything about a container that can be decided before the first system call: parsed, checked, printable.

The child only executes it; a spec that is wrong is refused while nothing has been done yet.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, NotSupported
from runtime.linux import constants as c
from runtime.linux import procfs
from runtime.oci import hooks, idmap, mounts, namespaces, process, rootfs, seccomp

if TYPE_CHECKING:
    from runtime.oci.mounts import Step

_PERSONALITIES: Final = {"LINUX": c.PER_LINUX, "LINUX32": c.PER_LINUX32}
_SECCOMP_FLAGS: Final = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # of no meaning for a single thread
    "SECCOMP_FILTER_FLAG_LOG": c.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": c.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
}
_CLOCKS: Final = ("monotonic", "boottime")
_NAME_MAX: Final = 64


class Plan:
    """One container, ready to be made."""

    __slots__ = (
        *("bundle", "clone_flags", "container", "domainname", "gids", "hooks", "hostname", "namespaces"),
        *("new_cgroup_namespace", "personality", "process", "propagation", "runtime_hooks", "spec_head", "steps"),
        *("time_offsets", "uids", "with_init"),
    )

    def __init__(
        self, spec: dict[str, Any], *, bundle: str, container: str, directories: list[tuple[str, str]]
    ) -> None:
        """Raises InvalidParameter, NotSupported. `directories` are the container's cgroup directories."""
        linux = spec.get("linux") or {}
        self.container = container
        self.bundle = bundle
        self.spec_head: dict[str, Any] = {key: spec[key] for key in ("ociVersion", "annotations") if key in spec}
        self.namespaces = namespaces.parse(linux)
        own = self.namespaces.own
        self.clone_flags = self.namespaces.create & ~namespaces.LATE
        self.new_cgroup_namespace = bool(self.namespaces.create & c.CLONE_NEWCGROUP)
        self.time_offsets = _time_offsets(linux) if self.namespaces.create & c.CLONE_NEWTIME else None
        self.uids = idmap.parse(linux.get("uidMappings"), "uidMappings")
        self.gids = idmap.parse(linux.get("gidMappings"), "gidMappings")
        if self.namespaces.create & c.CLONE_NEWUSER and not (self.uids and self.gids):
            raise InvalidParameter("namespace user: uidMappings and gidMappings are needed")
        self.hostname = _uts_name(spec.get("hostname"), "hostname", own)
        self.domainname = _uts_name(spec.get("domainname"), "domainname", own)
        self.personality = _personality(linux)
        self.hooks = hooks.parse(spec)
        self.runtime_hooks = [
            (stage, self.hooks[stage]) for stage in ("prestart", "createRuntime") if stage in self.hooks
        ]
        self.with_init = bool(spec.get("x-init"))
        root = _root_path(spec, bundle)
        self.propagation = rootfs.propagation(spec)
        parent = procfs.mount_point_of(os.path.realpath(root)) if self.propagation == c.MS_SHARED else ""
        self.steps: list[Step] = rootfs.build(spec, root, directories, own, parent)
        if not spec.get("process"):
            raise InvalidParameter("spec: has no process")
        program, flags = seccomp_program(spec)
        self.process = process.parse(spec["process"], program, flags)

    def describe(self) -> str:
        """One line a step, for tests and logs."""
        lines = [f"namespaces {' '.join(namespaces.names(self.namespaces.create))}"]
        lines += [f"join {namespaces.PROC_NAMES[flag]} {path}" for flag, path in self.namespaces.join]
        lines += [step.describe() for step in self.steps]
        lines.append(f"execute {b' '.join(self.process.argv).decode(errors='replace')}")
        return "\n".join(lines)

    def state(self, status: str, pid: int) -> dict[str, Any]:
        """The OCI state that hooks are given."""
        return hooks.state(self.spec_head, container=self.container, status=status, pid=pid, bundle=self.bundle)

    def idmapped(self) -> list[mounts.Bind]:
        """The binds that need a user namespace made for them before the fork."""
        return [step for step in self.steps if isinstance(step, mounts.Bind) and step.mappings is not None]


def seccomp_program(spec: dict[str, Any]) -> tuple[bytes, int]:
    """(BPF program, SECCOMP_FILTER_FLAG_*) of a spec: compiled already, or its profile; b"" is unconfined."""
    profile = (spec.get("linux") or {}).get("seccomp") or {}
    flags = 0
    for flag in profile.get("flags") or ():
        if flag not in _SECCOMP_FLAGS:
            raise NotSupported(f"seccomp flag {flag}: unknown")
        flags |= _SECCOMP_FLAGS[flag]
    compiled = spec.get("x-seccomp")
    if isinstance(compiled, str):
        try:
            compiled = base64.b64decode(compiled, validate=True)
        except binascii.Error as error:
            raise InvalidParameter("x-seccomp: not base64") from error
    if compiled is None and profile:
        bounding = ((spec.get("process") or {}).get("capabilities") or {}).get("bounding") or ()
        compiled = seccomp.compile(profile, frozenset(bounding))
    if "x-seccomp-flags" in spec:
        flags = int(spec["x-seccomp-flags"])
    if compiled and len(compiled) % 8:
        raise InvalidParameter("x-seccomp: not a BPF program, its length is no multiple of 8")
    return compiled or b"", flags


def _root_path(spec: dict[str, Any], bundle: str) -> str:
    path = str((spec.get("root") or {}).get("path") or "")
    if not path or "\0" in path:
        raise InvalidParameter("root: has no path")
    return path if path.startswith("/") else f"{bundle}/{path}"


def _uts_name(name: str | None, what: str, own: int) -> str:
    if not name:
        return ""
    if not own & c.CLONE_NEWUTS:
        raise InvalidParameter(f"{what} {name}: the container has no uts namespace of its own")
    if len(name.encode()) > _NAME_MAX:
        raise InvalidParameter(f"{what} {name}: longer than {_NAME_MAX} bytes")
    return name


def _personality(linux: dict[str, Any]) -> int | None:
    domain = (linux.get("personality") or {}).get("domain")
    if domain is None:
        return None
    if domain not in _PERSONALITIES:
        raise InvalidParameter(f"personality {domain}: unknown domain")
    return _PERSONALITIES[domain]


def _time_offsets(linux: dict[str, Any]) -> str:
    lines = ""
    for clock, offset in (linux.get("timeOffsets") or {}).items():
        if clock not in _CLOCKS:
            raise InvalidParameter(f"timeOffsets {clock}: unknown clock")
        lines += f"{clock} {int(offset.get('secs') or 0)} {int(offset.get('nanosecs') or 0)}\n"
    return lines
