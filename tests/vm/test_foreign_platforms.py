"""Images of another architecture by Debian's qemu-user-static, as systemd-binfmt registers it: built, run, and refused."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from .conftest import INSTALL, say
from .debian import Debian

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Vm

ARCHITECTURES = ("amd64", "arm64")
PROGRAMS = ("cat", "sh", "sleep", "tee", "uname")
EMULATOR = "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
QEMU = (EMULATOR, "/usr/bin/qemu-aarch64-static", "/usr/lib/binfmt.d/qemu-aarch64.conf")
"""The package without its 29 other emulators."""

PROJECT = f"""
tar -C / -xf /foreign/qemu.tar
systemctl unmask --quiet systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
systemctl start proc-sys-fs-binfmt_misc.automount
mkdir -p /root/app
cd /root/app
cp /foreign/root-*.tar .
cp -L {EMULATOR} emulator
cat > Dockerfile <<'END'
FROM scratch AS plain
ARG TARGETARCH
ADD root-$TARGETARCH.tar /
CMD ["cat", "/etc/machine"]

FROM plain AS ran
RUN uname -m | tee /etc/machine

FROM plain AS equipped
COPY emulator {EMULATOR}
RUN uname -m | tee /etc/machine
END
cat > compose.yaml <<'END'
x-platforms: &both [linux/amd64, linux/arm64]
services:
  both: {{image: "both:1", build: {{context: ., target: ran, platforms: *both}}}}
  foreign:
    image: foreign:1
    platform: linux/arm64
    build: {{context: ., target: ran, platforms: *both}}
    command: sleep 100000
    init: true
    stop_grace_period: 1s
    healthcheck: {{test: uname -m, interval: 300s, start_interval: 200ms, start_period: 300s, timeout: 100s}}
  bare: {{image: "bare:1", platform: linux/arm64, build: {{context: ., target: plain}}}}
  script: {{image: "bare:1", platform: linux/arm64, command: [/bin/script]}}
  equipped: {{image: "equipped:1", platform: linux/arm64, build: {{context: ., target: equipped}}}}
END
failing() {{
  if "$@" > said 2>&1; then echo "ended well: $*"; fi
  cat said
}}
"""
UNREGISTERED = (
    say("refused", "failing pycompose --progress plain build both")
    + say("left", "pycompose image ls -a --format '{{.Repository}}:{{.Tag}}'")
    + say("half-made", "ls /var/lib/pycompose/images/tmp")
    + "pycompose --progress quiet build bare\n"
    + say("unrunnable", "failing pycompose run --rm -T bare uname -m")
    + say("unrunnable-script", "failing pycompose run --rm -T script")
)
WITHOUT_F = (
    "sed 's/F$//' /usr/lib/binfmt.d/qemu-aarch64.conf > /etc/binfmt.d/qemu-aarch64.conf\n"
    "systemctl restart systemd-binfmt\n"
    + say("flags-without", "grep flags /proc/sys/fs/binfmt_misc/qemu-aarch64")
    + say("missing", "failing pycompose --progress plain build both")
    + say("missing-at-run", "failing pycompose run --rm -T bare uname -m")
    + say("missing-script", "failing pycompose run --rm -T script")
    + "pycompose --progress quiet build equipped\n"
    + say("equipped", "pycompose run --rm -T equipped")
    + "rm /etc/binfmt.d/qemu-aarch64.conf\n"
)
REGISTERED = (
    "systemctl restart systemd-binfmt\n"
    + say("flags", "grep flags /proc/sys/fs/binfmt_misc/qemu-aarch64")
    + say("built", "pycompose --progress plain build both 2>&1")
    + say("index", "pycompose image inspect both:1")
    + say("native", "pycompose run --rm -T both")
    + "pycompose --progress quiet up -d --wait foreign\n"
    + say("inside", "pycompose exec -T foreign uname -m")
    + say("written", "pycompose exec -T foreign cat /etc/machine")
    + say("run", "pycompose run --rm -T foreign cat /etc/machine")
    + say("script", "pycompose run --rm -T script")
    + say("state", "pycompose ps --format '{{.Service}}:{{.State}}:{{.Health}}'")
    + "pycompose --progress quiet down -t 1\n"
)
UNREGISTERED_AGAIN = "systemctl stop systemd-binfmt\n" + say("cached", "pycompose --progress plain build both 2>&1")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the emulator and, for each architecture, a root file system of busybox.

    The packages are unpacked here: an emulated machine takes minutes for that.
    """
    folder = tmp_path_factory.mktemp("foreign")
    debian = Debian(tmp_path_factory.mktemp("debian"), *ARCHITECTURES)
    qemu = debian.unpack("qemu-user-static", "amd64")
    with tarfile.open(folder / "qemu.tar", "w") as archive:
        for path in QEMU:
            archive.add(f"{qemu}{path}", path)
    script = folder / "script"
    script.write_text("#!/bin/sh\nuname -m\n")
    script.chmod(0o755)
    for architecture in ARCHITECTURES:
        busybox = debian.unpack("busybox-static", architecture)
        with tarfile.open(folder / f"root-{architecture}.tar", "w") as archive:
            archive.add(busybox / "bin/busybox", "bin/busybox")
            archive.add(script, "bin/script")
            for name in PROGRAMS:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
            etc = tarfile.TarInfo("etc")
            etc.type, etc.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(etc)
    return folder


def test_an_image_of_another_architecture_needs_an_emulator_and_gets_it(vm: Vm, foreign: Path) -> None:
    script = INSTALL + PROJECT + UNREGISTERED + WITHOUT_F + REGISTERED + UNREGISTERED_AGAIN
    found = vm.results(script, "--mount", f"{foreign}:/foreign:ro")

    for expected in ("Dockerfile:7", "RUN uname -m", "linux/arm64", "qemu-user-static"):
        assert expected in found["refused"]
    assert "ended well" not in found["refused"]
    assert found["left"].strip() == "localhost/host:latest"  # the one that is built in
    assert not found["half-made"].strip()
    emulator = "made for arm64, this machine is amd64 and has no emulator for it (install qemu-user-static)"
    assert emulator in found["unrunnable"]
    assert f"its interpreter /bin/sh: it is {emulator}" in found["unrunnable-script"]

    assert "F" not in found["flags-without"].removeprefix("flags:")
    remedy = "made for arm64, and the emulator for that is not in the image: register it in binfmt_misc with the flag F"
    for name in ("missing", "missing-at-run", "missing-script"):
        assert remedy in found[name]
        assert "ended well" not in found[name]
    assert "Dockerfile:7" in found["missing"]
    assert found["equipped"].strip() == "aarch64"

    assert "F" in found["flags"].removeprefix("flags:")
    assert "aarch64" in found["built"].split()
    [image] = found["index"]
    assert {each["ImageData"]["Platform"]["architecture"] for each in image["Manifests"]} == set(ARCHITECTURES)
    assert found["native"].strip() == "x86_64"
    for name in ("inside", "written", "run", "script"):
        assert found[name].strip() == "aarch64"
    assert found["state"].strip() == "foreign:running:healthy"

    assert "ERROR" not in found["cached"]
    assert "CACHED" in found["cached"]
