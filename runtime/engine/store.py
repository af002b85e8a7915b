"""Records on disk: read leniently, written whole, a bad one set aside and named.

Writes go through a small thread pool: an fsync releases the interpreter, and fifty containers that start together
would otherwise stand in line for the disk.
"""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from runtime.engine.log import log
from runtime.engine.records import ContainerRecord, NetworkRecord
from runtime.errors import SystemFailure
from runtime.linux.atomicfile import write_json
from runtime.linux.inodeflags import mark_top_of_hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.paths import Paths

RECORD = "config.json"
ASIDE = ".bad"
"""Behind the name of what could not be read."""
WRITERS = 4
SAVE_AGAIN = 2.0
"""Seconds until a record that could not be written is tried again."""


class Store:
    """The records of one data root."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.quarantined: list[str] = []
        self._unsaved: dict[str, ContainerRecord] = {}
        """By id: what is on disk is older."""
        self._saving: asyncio.Task[None] | None = None
        self._unfinished: list[str] = []
        """Names of folders whose record was never written."""
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="record")
        for folder in (paths.containers, paths.networks, paths.volumes, paths.images, paths.trash):
            os.makedirs(folder, mode=0o710, exist_ok=True)
        mark_top_of_hierarchies(paths.containers)

    def read_containers(self) -> list[ContainerRecord]:
        return [ContainerRecord.from_json(data) for data in self._read(self.paths.containers, ContainerRecord)]

    def read_networks(self) -> list[NetworkRecord]:
        return [NetworkRecord.from_json(data) for data in self._read(self.paths.networks, NetworkRecord)]

    def announce_network(self, network_id: str) -> None:
        """Make its folder: if the engine ends before there is a record, the next one knows what was begun. Raises SystemFailure."""
        folder = self.network_folder(network_id)
        try:
            os.makedirs(folder, mode=0o710, exist_ok=True)
        except OSError as error:
            raise SystemFailure(
                f"directory {folder} cannot be made: {(error.strerror or str(error)).lower()}"
            ) from error

    def lost_networks(self) -> list[str]:
        """Ids of networks whose record was set aside or never written."""
        folder = self.paths.networks
        aside = [name for name in os.listdir(folder) if os.path.exists(f"{folder}/{name}/{RECORD}{ASIDE}")]
        return [*self._unfinished, *aside]

    def container_file(self, record: ContainerRecord) -> str:
        return f"{self.paths.container(record.id)}/{RECORD}"

    def network_folder(self, network_id: str) -> str:
        return f"{self.paths.networks}/{network_id}"

    async def write_container(self, record: ContainerRecord) -> None:
        """Before something happens. Raises SystemFailure."""
        await self._write(self.container_file(record), record.to_json())
        self._unsaved.pop(record.id, None)

    async def note_container(self, record: ContainerRecord) -> None:
        """After something happened: a disk that takes nothing makes it not undone, so it is tried again until it does."""
        try:
            await self.write_container(record)
        except SystemFailure as error:
            log.error("container %s: %s", record.name, error)
            self._unsaved[record.id] = record
            if self._saving is None or self._saving.done():
                self._saving = asyncio.get_running_loop().create_task(self._save_later())

    async def _save_later(self) -> None:
        while self._unsaved:
            await asyncio.sleep(SAVE_AGAIN)
            for record in list(self._unsaved.values()):
                if not os.path.isdir(self.paths.container(record.id)):
                    self._unsaved.pop(record.id, None)  # removed since
                    continue
                try:
                    await self.write_container(record)
                except SystemFailure:
                    break

    async def write_network(self, record: NetworkRecord) -> None:
        """Raises SystemFailure."""
        await self._write(f"{self.network_folder(record.id)}/{RECORD}", record.to_json())

    def discard(self, path: str) -> None:
        """Take a folder out of the truth at once; a worker deletes it later."""
        try:
            os.rename(path, f"{self.paths.trash}/{os.path.basename(path)}.{os.urandom(4).hex()}")
        except FileNotFoundError:
            return

    def engine_id(self) -> str:
        """Eight hexadecimal digits, made once: the mark of this data root in names of bridges, tables and cgroups."""
        path = f"{self.paths.root}/engine-id"
        try:
            with open(path, encoding="ascii") as stream:
                found = stream.read().strip()
        except FileNotFoundError:
            found = ""
        if len(found) == 8:
            return found
        made = os.urandom(4).hex()
        temporary = f"{path}.tmp"
        with open(temporary, "w", encoding="ascii") as stream:
            stream.write(made)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
        return made

    async def _write(self, path: str, data: dict[str, Any]) -> None:
        text = json.loads(json.dumps(data))  # a snapshot: the record may change while the thread writes
        try:
            await asyncio.get_running_loop().run_in_executor(self._writers, _write_with_folder, path, text)
        except OSError as error:
            raise SystemFailure(f"record {path} cannot be written: {(error.strerror or str(error)).lower()}") from error

    def _read(self, folder: str, kind: type[ContainerRecord | NetworkRecord]) -> Iterator[dict[str, Any]]:
        for name in sorted(os.listdir(folder)):
            if name.endswith(ASIDE):
                continue
            path = f"{folder}/{name}/{RECORD}"
            try:
                with open(path, encoding="utf-8") as stream:
                    data = json.load(stream)
                kind.from_json(data)
            except FileNotFoundError:
                if not os.path.exists(path + ASIDE):
                    # A folder without its record: the creation never finished.
                    self.discard(f"{folder}/{name}")
                    self._unfinished.append(name)
                continue
            except NotADirectoryError as error:
                self._quarantine(f"{folder}/{name}", error)
                continue
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                self._quarantine(path, error)
                continue
            yield data

    def _quarantine(self, path: str, error: Exception) -> None:
        # It keeps what it holds under a name that is no record, so that nothing of it is lost.
        reason = error.strerror if isinstance(error, OSError) else error
        try:
            os.rename(path, path + ASIDE)
        except OSError as refusal:
            log.error("record %s cannot be read (%s), nor set aside: %s", path, reason, refusal.strerror)
        else:
            log.error("record %s cannot be read (%s): set aside as %s", path, reason, path + ASIDE)
        self.quarantined.append(path)


def _write_with_folder(path: str, data: dict[str, Any]) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o710, exist_ok=True)
    write_json(path, data)
