"""Records of containers that the OCI command manages: one directory each, written so that a crash leaves old or new.

The status is never stored but found: the process is there with the start time on record, or it is not; the gate (the
socket it waits on) is there until it has been started.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Any, Final

from runtime.errors import Conflict, InvalidParameter, NotFound, SystemFailure
from runtime.linux import atomicfile, procfs

_ID: Final = re.compile(r"[A-Za-z0-9_+.-]{1,1024}")
_FIELDS: Final = frozenset({"id", "pid", "bundle"})


class Record:
    """One container on disk. `data`: id, pid, start_time, boot_id, bundle, created, cgroup, paused."""

    __slots__ = ("data", "directory")

    def __init__(self, directory: str, data: dict[str, Any]) -> None:
        self.directory = directory
        self.data = data

    @property
    def gate(self) -> str:
        """The socket on which a created container waits."""
        return f"{self.directory}/gate"

    def save(self) -> None:
        atomicfile.write_json(f"{self.directory}/state.json", self.data)

    def spec(self) -> dict[str, Any]:
        """The configuration as it was at create: later changes in the bundle are without effect."""
        try:
            found: dict[str, Any] = atomicfile.read_json(f"{self.directory}/config.json")
        except FileNotFoundError as error:
            raise NotFound(f"container {self.data['id']}: does not exist") from error
        except ValueError as error:
            raise SystemFailure(f"container {self.data['id']}: configuration is damaged: {error}") from error
        return found

    def alive(self) -> bool:
        """The first process is there and is the one on record, not another with its pid."""
        pid = self.data.get("pid")
        if not pid or self.data.get("boot_id") != procfs.boot_id():
            return False
        try:
            return procfs.start_time(pid) == self.data["start_time"] and procfs.state(pid) not in {"Z", "X"}
        except NotFound:
            return False

    def status(self) -> str:
        """creating, created, running, paused or stopped."""
        if not self.data.get("pid"):
            return "creating"
        if not self.alive():
            return "stopped"
        if os.path.exists(self.gate):
            return "created"
        return "paused" if self.data.get("paused") else "running"

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def make(root: str, container: str, spec: dict[str, Any], bundle: str, cgroup: str = "") -> Record:
    """A new record with the configuration beside it; raises Conflict if the id is taken."""
    directory = _directory(root, container)
    os.makedirs(root, mode=0o700, exist_ok=True)
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError as error:
        raise Conflict(f"container {container}: id is in use") from error
    record = Record(directory, {"id": container, "pid": 0, "bundle": bundle, "cgroup": cgroup})
    atomicfile.write_json(f"{directory}/config.json", spec)
    record.save()
    return record


def load(root: str, container: str) -> Record:
    """The record of a container; raises NotFound, SystemFailure for one that cannot be read."""
    directory = _directory(root, container)
    try:
        data = atomicfile.read_json(f"{directory}/state.json")
    except FileNotFoundError as error:
        raise NotFound(f"container {container}: does not exist") from error
    except ValueError as error:
        raise SystemFailure(f"container {container}: state is damaged: {error}") from error
    if not isinstance(data, dict) or not data.keys() >= _FIELDS:
        raise SystemFailure(f"container {container}: state is damaged: not what create has written")
    return Record(directory, data)


def without_state(root: str, container: str) -> Record:
    """A record that is damaged, for its removal."""
    return Record(_directory(root, container), {"id": container, "pid": 0, "bundle": "", "cgroup": ""})


def names(root: str) -> list[str]:
    """The ids on record, sorted."""
    try:
        found = os.listdir(root)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if _ID.fullmatch(name) and os.path.exists(f"{root}/{name}/state.json"))


def _directory(root: str, container: str) -> str:
    if not _ID.fullmatch(container) or container in {".", ".."}:
        raise InvalidParameter(f"container id {container!r}: only letters, digits and _ + - . are allowed")
    return f"{root}/{container}"
