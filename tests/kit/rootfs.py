"""Tiny root file systems for tests, made from the programs of this machine and what `ldd` says they need.

Made once per machine and set of programs: a directory in the temporary directory, put in place by one rename.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("sh", "sleep", "cat", "echo", "ls", "id", "mkdir", "touch", "rm", "chmod", "stat", "true", "false")
_PASSWD: Final = "root:x:0:0:root:/root:/bin/sh\napp:x:2000:2000:app:/home/app:/bin/sh\n"
_GROUP: Final = "root:x:0:\nwheel:x:10:app\napp:x:2000:\n"


def tiny_rootfs(programs: tuple[str, ...] = PROGRAMS) -> Path:
    """A directory with `programs` in /bin, their libraries, /etc/passwd with `root` and `app`; do not change it."""
    sources = [_program(name) for name in programs]
    wanted = hashlib.sha256(repr([(path, os.stat(path).st_mtime_ns) for path in sources]).encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"pycompose-rootfs-{os.geteuid()}-{wanted}"
    if not place.exists():
        made = Path(tempfile.mkdtemp(prefix="pycompose-rootfs-"))
        _fill(made, sources)
        try:
            made.rename(place)
        except OSError:
            shutil.rmtree(made)  # another test process was quicker
    return place


def tiny_tar(target: Path, programs: tuple[str, ...] = PROGRAMS, mode: str = "w") -> Path:
    """The same as a tar file at `target`; `mode` as of tarfile.open (`w:gz` compresses)."""
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]  # the mode is the caller's
        archive.add(tiny_rootfs(programs), ".", filter=_owned_by_root)
    return target


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _program(name: str) -> str:
    found = shutil.which(name, path="/bin:/usr/bin:/sbin:/usr/sbin")
    if found is None:
        raise FileNotFoundError(name)
    return found


def _libraries(program: str) -> set[str]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return set(re.findall(r"(/\S+)(?= \(0x)", done.stdout))


def _fill(root: Path, sources: list[str]) -> None:
    root.chmod(0o755)
    for name in ("bin", "etc", "root", "home/app", "tmp", "var/lib", "dev", "proc", "sys"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for source in sources:
        shutil.copy2(os.path.realpath(source), root / "bin" / os.path.basename(source))
    for library in sorted(set().union(*(_libraries(source) for source in sources))):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(library), target)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
