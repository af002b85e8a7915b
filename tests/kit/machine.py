"""What our engines may leave on a machine, listed so that tests can show that nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def processes(word: str) -> list[str]:
    """Living processes whose command line holds `word`."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in command and state != "Z" and "pytest" not in command:
            found.append(f"{folder.name} {command.strip()[:200]}")
    return found


def mounts(word: str) -> list[str]:
    """Mounts of this mount namespace whose line holds `word`."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if word in line]


def links(word: str) -> list[str]:
    """Network links whose name holds `word`."""
    return sorted(name for name in os.listdir("/sys/class/net") if word in name)


def tables(word: str) -> list[str]:
    """nftables tables whose name holds `word`."""
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if nft is None or os.geteuid() != 0:
        return []
    done = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if word in line]


def cgroups(word: str) -> list[str]:
    """cgroup directories of ours whose name holds `word`."""
    # os.walk does not mind what vanishes under it: other engines live on this machine
    roots = [Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup") if os.path.basename(folder) == "pycompose"]
    parents = [str(path) for path in roots if word in path.name]
    return parents + [str(root / name) for root in roots for name in _folders(root) if word in name]


def cgroup_directories(name: str) -> list[Path]:
    """The directories of the cgroup `name`, such as `pycompose/ID`, one a hierarchy (cgroup v2 has one).

    They are named, not searched: a walk through all cgroups meets those that other tests are just removing.
    """
    root = Path("/sys/fs/cgroup")
    return [path for above in (root, *root.iterdir()) if (path := above / name).is_dir()]


def _folders(root: Path) -> list[str]:
    try:
        return [item.name for item in os.scandir(root) if item.is_dir()]
    except FileNotFoundError:
        return []


def leftovers(engine_id: str, root: str) -> dict[str, list[str]]:
    """Everything of one engine that is still on the machine, by kind; empty when all is gone."""
    found = {
        "processes": processes(root),
        "mounts": mounts(root),
        "links": links(f"pyc{engine_id[:4]}") + links(f"pyv{engine_id[:4]}"),
        "tables": tables(engine_id),
        "cgroups": cgroups(engine_id),
    }
    return {kind: items for kind, items in found.items() if items}
