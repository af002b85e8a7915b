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
from runtime.linux.atomicfile import write_json
from runtime.linux.inodeflags import mark_top_of_hierarchies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.paths import Paths

RECORD = "config.json"
WRITERS = 4


class Store:
    """The records of one data root."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.quarantined: list[str] = []
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="record")
        for folder in (paths.containers, paths.networks, paths.volumes, paths.images, paths.trash):
            os.makedirs(folder, mode=0o710, exist_ok=True)
        mark_top_of_hierarchies(paths.containers)

    def read_containers(self) -> list[ContainerRecord]:
        return [ContainerRecord.from_json(data) for data in self._read(self.paths.containers, ContainerRecord)]

    def read_networks(self) -> list[NetworkRecord]:
        return [NetworkRecord.from_json(data) for data in self._read(self.paths.networks, NetworkRecord)]

    def container_file(self, record: ContainerRecord) -> str:
        return f"{self.paths.container(record.id)}/{RECORD}"

    def network_folder(self, network_id: str) -> str:
        return f"{self.paths.networks}/{network_id}"

    async def write_container(self, record: ContainerRecord) -> None:
        await self._write(self.container_file(record), record.to_json())

    async def write_network(self, record: NetworkRecord) -> None:
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
        await asyncio.get_running_loop().run_in_executor(self._writers, _write_with_folder, path, text)

    def _read(self, folder: str, kind: type[ContainerRecord | NetworkRecord]) -> Iterator[dict[str, Any]]:
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}/{RECORD}"
            try:
                with open(path, encoding="utf-8") as stream:
                    data = json.load(stream)
                kind.from_json(data)
            except FileNotFoundError:
                if not os.path.exists(f"{path}.bad"):
                    # A folder without its record: the creation never finished.
                    self.discard(f"{folder}/{name}")
                continue
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                self._quarantine(path, error)
                continue
            yield data

    def _quarantine(self, path: str, error: Exception) -> None:
        aside = f"{path}.bad"
        try:
            os.rename(path, aside)
        except OSError:
            aside = path
        # The folder keeps the file under a name that is no record, so that nothing of it is lost.
        log.error("record %s cannot be read (%s): set aside as %s", path, error, aside)
        self.quarantined.append(path)


def _write_with_folder(path: str, data: dict[str, Any]) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o710, exist_ok=True)
    write_json(path, data)
