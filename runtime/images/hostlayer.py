"""The built-in image `localhost/host`: this machine's own programs as a read-only lower layer, by an allow-list.

overlayfs refuses `layer:/` when the layer lies on the root file system (ELOOP), so a tmpfs mask over `/` is mounted
first and used as a layer itself (the second and last level of stacking the kernel allows). The mask does not list what
to hide: one opaque directory in it holds the new root, whose `/usr` is a redirect to the host's. A file that appears
in the host's root later on stays outside.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import NotSupported, SyscallError
from runtime.linux.constants import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.linux.syscalls import Kernel

REFERENCE: Final = "localhost/host:latest"
LAYER: Final = "host"
"""Stands for this layer where others have a chain id."""

_CONFIG: Final[dict[str, Any]] = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Cmd": ["/bin/sh"],
    "Labels": {"io.pycompose.reproducible": "false"},
}
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}

_PROGRAMS: Final = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_EMPTY: Final = (
    ("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("run", 0o755), ("run/lock", 0o1777), ("tmp", 0o1777),
    ("root", 0o700), ("home", 0o755), ("opt", 0o755), ("srv", 0o755), ("mnt", 0o755), ("media", 0o755),
    ("var", 0o755), ("var/cache", 0o755), ("var/lib", 0o755), ("var/log", 0o755), ("var/spool", 0o755),
    ("var/tmp", 0o1777), ("etc", 0o755),
)  # fmt: skip
_LINKS: Final = (("var/run", "/run"), ("var/lock", "/run/lock"), ("etc/mtab", "../proc/self/mounts"))
_PLACEHOLDERS: Final = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
_ETC_FILES: Final = (
    "ld.so.conf", "ld.so.cache", "os-release", "lsb-release", "debian_version", "alpine-release", "redhat-release",
    "localtime", "timezone", "protocols", "services", "rpc", "ethertypes", "networks", "netconfig", "host.conf",
    "gai.conf", "mime.types", "magic", "magic.mime", "shells", "inputrc", "bash.bashrc", "profile", "locale.alias",
    "ssl/openssl.cnf", "pki/tls/openssl.cnf",
)  # fmt: skip
_ETC_TREES: Final = ("ld.so.conf.d", "alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted")
_ETC_JAVA: Final = "java-"
"""`java-17-openjdk` and the like: the JDK under /usr links to its security settings and does not start without."""
_LARGEST: Final = 4 << 20
_NSSWITCH: Final = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
    "protocols: files\nservices: files\nethers: files\nrpc: files\n"
)
_HUMAN_IDS: Final = range(1000, 65534)


def document() -> dict[str, Any]:
    """The image's configuration in OCI form; the same on every call and every machine of one architecture."""
    machine = os.uname().machine
    return {
        "created": "1970-01-01T00:00:00Z",
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": json.loads(json.dumps(_CONFIG)),
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }


def image_id() -> str:
    """The image's id, `sha256:...`: the digest of its configuration, as with every image."""
    text = json.dumps(document(), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def needs_copy(mountinfo: str | None = None) -> bool:
    """Whether `/` cannot be a lower layer here (it is an overlay, or /usr is a mount of its own): see build_copy."""
    if mountinfo is None:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mountinfo = file.read()
    mounts = [line.split(" ") for line in mountinfo.splitlines()]
    kinds = [fields[fields.index("-") + 1] for fields in mounts if fields[4] == "/"]
    if not kinds or kinds[-1] in ("overlay", "fuse.fuse-overlayfs", "rootfs", "ramfs"):
        return True
    return any(fields[4] in _program_paths() for fields in mounts)


def mount(kernel: Kernel, target_dir: str, *, hide: tuple[str, ...] = ()) -> str:
    """Mount the layer below `target_dir` (in the caller's mount namespace) and return the path to use as a lowerdir.

    `hide`: absolute paths below /usr and its like that must not be seen (a data root that lies there).
    Raises NotSupported where `/` cannot be a lower layer, SyscallError for what the kernel refuses.
    """
    if needs_copy():
        raise NotSupported("image localhost/host: the root file system is an overlay or has /usr on a mount of its own")
    os.makedirs(target_dir, mode=0o700, exist_ok=True)
    kernel.mount("tmpfs", target_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")
    mask, merged = f"{target_dir}/mask", f"{target_dir}/merged"
    new_root = f"{mask}/{LAYER}.root"
    umask = os.umask(0)
    try:
        os.mkdir(mask, 0o755)
        os.mkdir(merged, 0o755)
        os.mkdir(new_root, 0o755)
        # nothing of the host shows through here, not even a directory of this very name
        os.setxattr(new_root, "trusted.overlay.opaque", b"y")
        _synthesise(new_root)
        for name in _programs():
            os.mkdir(f"{new_root}/{name}", stat.S_IMODE(os.stat(f"/{name}").st_mode))
            os.setxattr(f"{new_root}/{name}", "trusted.overlay.redirect", f"/{name}".encode())
        for path in hide:
            _hide(new_root, path)
    finally:
        os.umask(umask)
    # the mask is finished: nobody writes to it any more
    kernel.mount(
        "overlay", merged, "overlay", MS_RDONLY, f"lowerdir={mask}:/,redirect_dir=follow,index=off,metacopy=off"
    )
    return f"{merged}/{LAYER}.root"


def build_root(target_dir: str) -> list[str]:
    """Write the synthesised part (all but the programs) into the empty `target_dir`; the program trees to copy to it."""
    umask = os.umask(0)
    try:
        _synthesise(target_dir)
    finally:
        os.umask(umask)
    return list(_programs())


def _programs() -> Iterator[str]:
    """The allowed directories that are no links: `usr`, on an unmerged system also `bin` and its like."""
    for name in _PROGRAMS:
        if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"):
            yield name


def _program_paths() -> list[str]:
    return [f"/{name}" for name in _programs()]


def _synthesise(root: str) -> None:
    for name, mode in _EMPTY:
        os.mkdir(f"{root}/{name}", mode)
    for name, target in _LINKS:
        os.symlink(target, f"{root}/{name}")
    for name in _PROGRAMS:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
    for name in _PLACEHOLDERS:
        _write(f"{root}/{name}", b"")
    _write(f"{root}/etc/nsswitch.conf", _NSSWITCH.encode())
    users = _accounts("/etc/passwd", fields=7)
    names = {line.split(":", 1)[0] for line in users}
    groups = _accounts("/etc/group", fields=4)
    _write(f"{root}/etc/passwd", _lines(users))
    _write(f"{root}/etc/group", _lines(_only_members(line, names) for line in groups))
    for name in _ETC_FILES:
        _take("/etc", f"{root}/etc", name)
    trees = [*_ETC_TREES, *sorted(name for name in os.listdir("/etc") if name.startswith(_ETC_JAVA))]
    for name in trees:
        _take_tree(f"/etc/{name}", f"{root}/etc/{name}")


def _accounts(path: str, *, fields: int) -> list[str]:
    """The lines of system accounts, without passwords: people's names are nobody's business."""
    kept = []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return ["root:x:0:0:root:/root:/bin/sh" if fields == 7 else "root:x:0:"]
    for line in lines:
        parts = line.split(":")
        if len(parts) != fields or not parts[2].isdigit() or int(parts[2]) in _HUMAN_IDS:
            continue
        parts[1] = "x"
        kept.append(":".join(parts))
    return kept


def _only_members(line: str, names: set[str]) -> str:
    head, _, members = line.rpartition(":")
    return head + ":" + ",".join(name for name in members.split(",") if name in names)


def _lines(lines: Any) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _take_tree(source: str, target: str) -> None:
    """Copy what everybody may read of a directory of public files; a missing one is fine."""
    try:
        found = os.lstat(source)
        names = sorted(os.listdir(source)) if stat.S_ISDIR(found.st_mode) else []
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        os.symlink(os.readlink(source), target)
        return
    if not stat.S_ISDIR(found.st_mode) or not found.st_mode & stat.S_IXOTH:
        return
    os.makedirs(target, mode=0o755, exist_ok=True)
    for name in names:
        if os.path.isdir(f"{source}/{name}") and not os.path.islink(f"{source}/{name}"):
            _take_tree(f"{source}/{name}", f"{target}/{name}")
        else:
            _take(source, target, name)


def _take(source_dir: str, target_dir: str, name: str) -> None:
    """Copy one public file or link; private keys and whatever others may not read stay behind."""
    source, target = f"{source_dir}/{name}", f"{target_dir}/{name}"
    try:
        found = os.lstat(source)
        if stat.S_ISLNK(found.st_mode):
            link = os.readlink(source)
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            os.symlink(link, target)
            return
        if not stat.S_ISREG(found.st_mode) or not found.st_mode & stat.S_IROTH or found.st_size > _LARGEST:
            return
        with open(source, "rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        return
    if b"PRIVATE KEY-----" in data:
        return
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    _write(target, data)


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _hide(new_root: str, path: str) -> None:
    parts = os.path.realpath(path).strip("/").split("/")
    if parts[0] not in _programs():
        return
    directory = new_root
    for part in parts[:-1]:
        directory = f"{directory}/{part}"
        os.makedirs(directory, mode=0o755, exist_ok=True)
    try:
        os.mknod(f"{directory}/{parts[-1]}", stat.S_IFCHR, 0)
    except OSError as error:
        raise SyscallError("mknod", error.errno or errno.EPERM, path) from error
