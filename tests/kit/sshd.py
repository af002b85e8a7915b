"""Debian's ssh server on the loopback, unpacked and not installed; who has the key in it may log in as root.

It wants an account and a directory of its own, which it gets in a mount namespace.
"""

from __future__ import annotations

import fcntl
import shlex
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.kit.debian import cache
from tests.kit.stack import free_port, poll

PACKAGES: Final = ("openssh-server", "libwrap0")
DOWNLOAD_TIMEOUT: Final = 120.0


def unpacked() -> Path:
    """The directory with the server's files, fetched once."""
    place = cache() / "sshd"
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "sshd.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        if not place.exists():
            work = cache() / "sshd.download"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            _fetch(work)
            for package in work.glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, work / "root"], check=True)
            (work / "root").rename(place)
            shutil.rmtree(work)
    return place


def _fetch(work: Path) -> None:
    # as _apt the sandboxed download could not write into a directory of ours
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    done = subprocess.run(command, cwd=work, capture_output=True, timeout=DOWNLOAD_TIMEOUT, check=False)
    if done.returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT)
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT)


def make_key(path: Path) -> Path:
    """A key pair without a passphrase at `path`, in the place of an older one."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
    return path


@dataclass
class SshServer:
    """A server in `folder` that believes `authorized`, the public half of a key."""

    folder: Path
    authorized: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> SshServer:
        """Run it with a new host key; returns once it answers."""
        root = unpacked()
        key = make_key(self.folder / "host")
        accounts = Path("/etc/passwd").read_text() + "sshd:x:990:65534::/run/sshd:/usr/sbin/nologin\n"
        (self.folder / "passwd").write_text(accounts)
        lines = [
            *(f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {key}", "PidFile none", "UsePAM no"),
            *(f"AuthorizedKeysFile {self.authorized}", "StrictModes no", "PasswordAuthentication no"),
            "PermitRootLogin prohibit-password",
        ]
        (self.folder / "config").write_text("\n".join(lines) + "\n")
        libraries = ":".join(f"{root}{prefix}/lib/x86_64-linux-gnu" for prefix in ("", "/usr"))
        script = (
            f"mount --bind {shlex.quote(str(self.folder))}/passwd /etc/passwd && mount -t tmpfs pycompose-test /run && "
            f"mkdir /run/sshd && exec env LD_LIBRARY_PATH={libraries} {root}/usr/sbin/sshd -D -e -f "
            f"{shlex.quote(str(self.folder))}/config"
        )
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", script], stderr=log, stdin=subprocess.DEVNULL
            )
        poll(self._answers, what="the ssh server answers")
        return self

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
