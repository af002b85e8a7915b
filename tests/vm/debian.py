"""Packages of Debian's, of any architecture, fetched and unpacked on this machine without a trace in its own apt."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "deb http://deb.debian.org/debian bookworm main\n"
"""What debootstrap takes the machine's own packages from."""


class Debian:
    """Packages below a folder of one's own; `architectures` are those that they can be had for."""

    def __init__(self, folder: Path, *architectures: str) -> None:
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            (folder / name).mkdir(parents=True)
        (folder / "sources").write_text(SOURCE)
        options = {
            "APT::Sandbox::User": "root",
            "APT::Architectures": ",".join(architectures),
            "Dir::State::Lists": f"{folder}/lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": f"{folder}/cache",
            "Dir::Etc::sourcelist": f"{folder}/sources",
            "Dir::Etc::sourceparts": "-",
        }
        self._apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
        self._call(*self._apt, "update")

    def unpack(self, package: str, architecture: str) -> Path:
        """The folder with the files of a package."""
        self._call(*self._apt, "download", f"{package}:{architecture}")
        [archive] = (self._folder / "packages").glob(f"{package}_*_{architecture}.deb")
        target = self._folder / f"{package}-{architecture}"
        self._call("dpkg-deb", "-x", str(archive), str(target))
        archive.unlink()
        return target

    def _call(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self._folder / "packages", capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
