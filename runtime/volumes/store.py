"""Named volumes: plain directories in Docker's layout, `<volumes>/<name>/_data`, with the record beside the data.

The data is worth more than the record: a directory whose record is unreadable stays a volume, with default settings.
A volume comes into being by one rename and goes by one rename into the trash.
"""

from __future__ import annotations

import os
import re
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypedDict

from runtime.errors import Conflict, InvalidParameter, NotFound, SystemFailure
from runtime.linux import atomicfile
from runtime.linux.treeremoval import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.paths import Paths

ANONYMOUS_LABEL: Final = "com.docker.volume.anonymous"
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_RECORD: Final = "volume.json"
_DATA: Final = "_data"
_NEEDS: Final = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
"""Options of the local driver and those each cannot be without (Docker's rule)."""


class VolumeInspect(TypedDict):
    """A volume as the API tells it."""

    Name: str
    Driver: str
    Mountpoint: str
    Labels: dict[str, str]
    Options: dict[str, str]
    CreatedAt: str
    Scope: str


class VolumeStore:
    """The volumes below `paths.volumes`."""

    def __init__(self, paths: Paths) -> None:
        self.root = paths.volumes
        self._trash = paths.trash
        self.problems: dict[str, str] = {}
        """Volume name to reason, for records that were set aside."""

    def create(
        self,
        name: str = "",
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> VolumeInspect:
        """Make a volume, or return the one that has this name; without a name an anonymous one is made.

        Raises InvalidParameter (name, options), NotFound (driver), Conflict (exists with another driver), OSError.
        """
        marks = dict(labels or {})
        if not name:
            name = os.urandom(32).hex()
            marks.setdefault(ANONYMOUS_LABEL, "")
        check_name(name)
        driver = driver or "local"
        if self.exists(name) or self._restore_data(name):
            found = self.inspect(name)
            if found["Driver"] != driver:
                raise Conflict(f"volume {name}: already exists with driver {found['Driver']}", volume=name)
            return found
        if driver != "local":
            raise NotFound(f'volume {name}: driver "{driver}" not found, only "local" is known', volume=name)
        check_options(dict(options or {}))
        record = {"version": 1, "driver": driver, "options": dict(options or {}), "labels": marks, "created": _now()}
        self._make(name, record)
        return self.inspect(name)

    def exists(self, name: str) -> bool:
        """Whether there is a volume of this name."""
        return _NAME.fullmatch(name) is not None and os.path.isdir(f"{self.root}/{name}/{_DATA}")

    def inspect(self, name: str) -> VolumeInspect:
        """The volume's description; raises NotFound."""
        if not self.exists(name):
            raise NotFound(f"get {name}: no such volume", volume=name)
        record = self._read(name)
        return VolumeInspect(
            Name=name,
            Driver=record["driver"],
            Mountpoint=self.mountpoint(name),
            Labels=record["labels"],
            Options=record["options"],
            CreatedAt=record["created"],
            Scope="local",
        )

    def list(self) -> list[VolumeInspect]:
        """All volumes, by name."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            try:
                found.append(self.inspect(name))
            except NotFound:
                continue
        return found

    def remove(self, name: str) -> None:
        """Move the volume to the trash, for a worker to delete; who uses it is for the caller to know. Raises NotFound."""
        check_name(name)
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        try:
            os.rename(f"{self.root}/{name}", f"{self._trash}/volume-{name}-{os.urandom(6).hex()}")
        except FileNotFoundError as error:
            raise NotFound(f"get {name}: no such volume", volume=name) from error
        atomicfile.sync_directory(self.root)
        self.problems.pop(name, None)

    def mountpoint(self, name: str) -> str:
        """Where the volume's files lie on the host."""
        return f"{self.root}/{check_name(name)}/{_DATA}"

    def sweep(self) -> None:
        """Delete what creations left behind that were cut short."""
        try:
            names = os.listdir(self.root)
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(atomicfile.PREFIX):
                remove_tree(f"{self.root}/{name}")

    def _restore_data(self, name: str) -> bool:
        """Whether there is a volume whose data directory was deleted: it has an empty one now."""
        if not os.path.isdir(f"{self.root}/{name}"):
            return False
        os.makedirs(f"{self.root}/{name}/{_DATA}", mode=0o755, exist_ok=True)
        os.chmod(f"{self.root}/{name}/{_DATA}", 0o755)
        return True

    def _make(self, name: str, record: dict[str, Any]) -> None:
        os.makedirs(self.root, mode=0o711, exist_ok=True)
        temporary = f"{self.root}/{atomicfile.PREFIX}{name[:64]}-{os.urandom(6).hex()}"
        try:
            os.mkdir(temporary, 0o711)
            os.mkdir(f"{temporary}/{_DATA}", 0o755)
            os.chmod(f"{temporary}/{_DATA}", 0o755)
            atomicfile.write_json(f"{temporary}/{_RECORD}", record)
            os.rename(temporary, f"{self.root}/{name}")
            atomicfile.sync_directory(self.root)
        except OSError:
            remove_tree(temporary)
            if not self.exists(name):  # else somebody was quicker: theirs is as good
                raise

    def _read(self, name: str) -> dict[str, Any]:
        path = f"{self.root}/{name}/{_RECORD}"
        try:
            record = atomicfile.read_json(path)
            return {
                "driver": str(record["driver"]),
                "options": _strings(record["options"]),
                "labels": _strings(record["labels"]),
                "created": str(record["created"]),
            }
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.problems[name] = f"{path}: unreadable volume record set aside: {error or type(error).__name__}"
            os.replace(path, f"{path}.corrupt")
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(os.stat(f"{self.root}/{name}").st_ctime))
        return {"driver": "local", "options": {}, "labels": {}, "created": created}


def check_name(name: str) -> str:
    """Return `name` if a volume may have it; raises InvalidParameter."""
    if _NAME.fullmatch(name) is None or len(name) > 255:
        raise InvalidParameter(
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are '
            "allowed, and at least two characters are needed; a host directory is named by an absolute path"
        )
    return name


def check_options(options: dict[str, str]) -> None:
    """Raises InvalidParameter for options that the local driver does not know or that lack their partner."""
    for key in options:
        if key not in _NEEDS:
            raise InvalidParameter(f'invalid option: "{key}"')
        for partner in _NEEDS[key]:
            if not options.get(partner):
                raise InvalidParameter(f'missing required option: "{partner}"')


def driver_mount(volume: VolumeInspect, lookup: Callable[[str], str] = socket.gethostbyname) -> dict[str, Any] | None:
    """`type`, `source` and `options` of the OCI mount for a volume with driver options; None: it is a plain directory.

    An `addr=` that is a name is looked up, as the kernel's NFS takes numbers only. Raises SystemFailure if that fails.
    """
    options = volume["Options"]
    if not options.get("type"):
        return None
    words = [word for word in options.get("o", "").split(",") if word]
    if options["type"] in ("nfs", "nfs4", "cifs"):
        words = [_numeric_address(word, volume["Name"], lookup) for word in words]
    binds = any(word in ("bind", "rbind") for word in words)
    kind = "bind" if binds else options["type"]
    return {"type": kind, "source": options["device"], "options": words}


def _numeric_address(word: str, volume: str, lookup: Callable[[str], str]) -> str:
    if not word.startswith("addr="):
        return word
    try:
        return "addr=" + lookup(word.removeprefix("addr="))
    except OSError as error:
        raise SystemFailure(f"volume {volume}: {word}: {error.strerror or error}") from error


def _strings(value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items()}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
