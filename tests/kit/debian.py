"""A Debian root file system with the servers that the tests of real software run, as one tar archive.

Made once with debootstrap and kept in the cache of the tests; its name is the digest of what it is made of, and it is
put in place by one rename under a lock, so that parallel test processes build it once. Mounts of the build are made
in a mount namespace of its own: a killed build leaves none behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = (
    *("python3", "python3-pip", "python3-flask", "python3-redis"),
    *("redis-server", "postgresql", "nginx-light", "supervisor", "systemd-sysv"),
)
BUILD_TIMEOUT: Final = 600.0
_BUILD: Final = r"""
root=$1 suite=$2 mirror=$3 packages=$4
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d" # packages start nothing here
chmod 755 "$root/usr/sbin/policy-rc.d"
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' > "$root/etc/postgresql-common/createcluster.conf"
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/quick"
printf 'path-exclude=/usr/share/%s/*\n' doc man locale > "$root/etc/dpkg/dpkg.cfg.d/lean"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
chroot "$root" apt-get update -qq
chroot "$root" apt-get install -y -qq --no-install-recommends $packages
chroot "$root" apt-get clean
umount "$root/proc"
rm -rf "$root"/var/lib/apt/lists/* "$root/etc/resolv.conf" "$root/etc/hostname"
tar -C "$root" --numeric-owner -cf "$root.tar" .
"""


def cache() -> Path:
    """Where tests keep what is costly to make; `PYCOMPOSE_TEST_CACHE` moves it."""
    place = os.environ.get("PYCOMPOSE_TEST_CACHE") or "~/.cache/pycompose-tests"
    return Path(place).expanduser()


def root_archive(say: Callable[[str], None]) -> Path:
    """The tar archive, built if there is none; `say` is told of a build and of a wait for another process's."""
    recipe = repr((SUITE, MIRROR, PACKAGES, _BUILD))
    place = cache() / f"debian-{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(cache() / "debian.lock", "w", encoding="ascii") as lock:
        _locked(lock.fileno(), say)
        if not place.exists():
            _build(place, say)
    return place


def _locked(lock: int, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for the Debian root file system that another test process builds")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _build(place: Path, say: Callable[[str], None]) -> None:
    work = cache() / "debian.building"
    log = cache() / "debian.log"
    archive = Path(f"{work}.tar")
    shutil.rmtree(work, ignore_errors=True)  # what a killed build left
    say(f"building a Debian {SUITE} root file system from {MIRROR}, once, in about two minutes; log: {log}")
    began = time.monotonic()
    arguments = [str(work), SUITE, MIRROR, " ".join(PACKAGES)]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _BUILD, "build", *arguments]
    environment = {**os.environ, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        with open(log, "wb") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=BUILD_TIMEOUT,
                env=environment,
                check=False,
            )
        if done.returncode:
            end = log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"debootstrap of {SUITE} from {MIRROR}: exit {done.returncode}\n{end}")
        archive.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        archive.unlink(missing_ok=True)
    for old in cache().glob(f"debian-{SUITE}-*.tar"):
        if old != place:
            old.unlink()
    say(f"{place}: {place.stat().st_size >> 20} MB in {time.monotonic() - began:.0f} s")
