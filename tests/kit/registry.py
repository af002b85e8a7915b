"""A real registry (Debian's docker-registry) on this machine's loopback: plain, with TLS, with user and password.

The package is downloaded and unpacked into the cache of the tests; nothing is installed. Its storage is a directory of
the test's own.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.kit.debian import cache
from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from pathlib import Path

USER: Final = "rose"
PASSWORD: Final = "swordfish"
_HTPASSWD: Final = "rose:$2b$05$abcdefghijklmnopqrstuupWDwJQeCHYIBQy8WvkVB6ImhZ476YYy\n"
DOWNLOAD_TIMEOUT: Final = 120.0


def program() -> Path:
    """The registry's program, fetched once."""
    place = cache() / "docker-registry"
    binary = place / "usr/bin/docker-registry"
    if binary.exists():
        return binary
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "docker-registry.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        if not binary.exists():
            work = cache() / "docker-registry.download"
            work.mkdir(exist_ok=True)
            _fetch(work)
            [package] = work.glob("docker-registry_*.deb")
            subprocess.run(["dpkg", "-x", package, work / "root"], check=True)
            (work / "root").rename(place)
            package.unlink()
            work.rmdir()
    return binary


def _fetch(work: Path) -> None:
    # as _apt the sandboxed download could not write into a directory of ours
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "docker-registry"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT, check=False)
    if done.returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT)
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT)


@dataclass
class Registry:
    """A running registry; `host` is its name in references."""

    folder: Path
    tls: bool = False
    password: bool = False
    proxy_for: str = ""
    """The address of a registry that this one is a pull-through cache of."""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def ca(self) -> Path:
        """The authority's certificate, with TLS."""
        return self.folder / "ca.pem"

    def start(self) -> Registry:
        """Run it; returns once it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.tls:
            certificate(self.folder)
        if self.password:
            (self.folder / "htpasswd").write_text(_HTPASSWD)
        (self.folder / "config.yml").write_text(self._configuration())
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                [program(), "serve", self.folder / "config.yml"], stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin"}
            )
        poll(self._answers, 15, f"registry {self.host}")
        return self

    def stop(self) -> None:
        """End it; what it stores stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def blobs(self) -> set[str]:
        """The digests of all it stores."""
        found = (self.folder / "data/docker/registry/v2/blobs/sha256").glob("*/*/data")
        return {f"sha256:{path.parent.name}" for path in found}

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            return False

    def _configuration(self) -> str:
        lines = [
            "version: 0.1",
            "log: {level: info}",
            "storage:",
            f"  filesystem: {{rootdirectory: {self.folder}/data}}",
            "  delete: {enabled: true}",
            "http:",
            f"  addr: 127.0.0.1:{self.port}",
            "  secret: test",
        ]
        if self.tls:
            lines += [f"  tls: {{certificate: {self.folder}/server.pem, key: {self.folder}/server.key}}"]
        if self.password:
            lines += ["auth:", f"  htpasswd: {{realm: test, path: {self.folder}/htpasswd}}"]
        if self.proxy_for:
            lines += ["proxy:", f"  remoteurl: {self.proxy_for}"]
        return "\n".join(lines) + "\n"


def certificate(folder: Path, name: str = "localhost") -> None:
    """`server.pem` and `server.key` for `name` and 127.0.0.1, signed by a new authority in `ca.pem`."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
    (folder / "names").write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "server.pem", "-days", "2", "-extfile", "names"),
    )


def get(url: str, ca: Path | None = None) -> bytes:
    """A document of a registry, without any authorisation."""
    context = ssl.create_default_context(cafile=str(ca)) if ca else None
    kinds = ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2")
    accept = ",".join(f"application/vnd.{kind}+json" for kind in kinds)
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return bytes(answer.read())


def available() -> bool:
    """Whether this machine can have one."""
    return os.path.exists("/usr/bin/dpkg")
