"""Times pulls of pycompose against Docker's on this machine, in alternation, and prints medians and the ratio.

    python benchmarks/pull.py [--runs N] [--layers N] [--without-docker]

The image has 200 MB in 20,000 files and comes from Debian's registry on the loopback. Whole `compose pull` commands are
timed, from exec to exit; between two runs the image is removed and the removal waited for.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contenders import Contender, Pycompose, docker

from tests.kit.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 20_000
SIZE = 200_000_000
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def layer(number: int, files: int, size: int) -> bytes:
    """A tar of `files` files of text and noise with `size` bytes in all, as software distributions have them."""
    chance = random.Random(number)
    words = [chance.randbytes(3).hex() + "_;\n"[chance.randrange(3)] for _ in range(3000)]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for position in range(files):
            if position % 50 == 0:
                folder = tarfile.TarInfo(f"usr/share/package-{number}-{position // 50}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            length = max(int(chance.expovariate(files / size)), 1)
            text = "".join(chance.choices(words, k=length // 7 + 1)).encode()[: length * 4 // 5]
            data = text + chance.randbytes(length - len(text))
            member = tarfile.TarInfo(f"usr/share/package-{number}-{position // 50}/file-{position}.dat")
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def send(method: str, url: str, data: bytes, media_type: str = "application/octet-stream") -> str:
    """One request to the registry; the Location of its answer."""
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": media_type})
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers.get("Location") or "")


def upload(host: str, data: bytes, media_type: str) -> dict[str, object]:
    """Put a blob into the registry; its descriptor."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = send("POST", f"http://{host}/v2/bench/blobs/uploads/", b"")
    send("PUT", f"{place}{'&' if '?' in place else '?'}digest={quote(digest)}", data)
    return {"mediaType": media_type, "size": len(data), "digest": digest}


def publish(host: str, layers: int) -> str:
    """Make the image and put it into the registry; its name."""
    plain = [layer(number, FILES // layers, SIZE // layers) for number in range(layers)]
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in plain]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": upload(host, json.dumps(config).encode(), CONFIG),
        "layers": [upload(host, gzip.compress(each, 6), LAYER) for each in plain],
    }
    send("PUT", f"http://{host}/v2/bench/manifests/1", json.dumps(manifest).encode(), MANIFEST)
    return f"{host}/bench:1"


def forget_ours(contender: Contender, folder: Path, root: Path, name: str) -> None:
    contender.run(folder, "image", "rm", "-f", name)
    while os.listdir(root / "data/trash"):
        time.sleep(0.05)


def forget_docker(contender: Contender, name: str) -> None:
    socket = contender.environment["DOCKER_HOST"].removeprefix("unix://")
    command = ["curl", "-fsS", "--unix-socket", socket, "-X", "DELETE", f"http://d/images/{name}?force=1"]
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="bench-pull-"))
    registry = Registry(root / "registry").start()
    folder = root / "project"
    folder.mkdir()
    mine = Pycompose(root)
    contenders: list[tuple[Contender, Callable[[], None]]] = []
    try:
        name = publish(registry.host, options.layers)
        (folder / "compose.yaml").write_text(f"services:\n  bench:\n    image: {name}\n")
        contenders.append((mine, lambda: forget_ours(mine, folder, root, name)))
        if not options.without_docker:
            theirs = docker(root)
            contenders.append((theirs, lambda: forget_docker(theirs, name)))
        times: dict[str, list[float]] = {contender.name: [] for contender, _ in contenders}
        for _ in range(options.runs):
            for contender, forget in contenders:
                times[contender.name].append(contender.run(folder, "pull", "-q"))
                forget()
                subprocess.run(["sync"], check=True)
        medians = {contender: statistics.median(found) for contender, found in times.items()}
        for contender, found in times.items():
            shown = " ".join(f"{each:.2f}" for each in found)
            print(
                f"pull of {SIZE // 1_000_000} MB, {FILES} files: {contender:10} {medians[contender]:.2f} s  ({shown})"
            )
        if len(medians) == 2:
            print(f"ratio {medians['docker'] / medians['pycompose']:.2f}")
    finally:
        for contender, _ in contenders:
            contender.stop()
        registry.stop()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
