"""Fetch remote compose files into the user's cache: artifacts of registries, directories of git repositories.

What an address stands for is asked once a command; its digest or commit names the directory, so what is there is never
fetched again nor changed. A directory is filled under another name and renamed: half of one is never seen.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.loader.remotes import OCI, Remote, inside
from compose.usecases import artifact
from compose.usecases.imagedigests import full_reference
from runtime.errors import EngineError, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.usecases.registryauth import RegistryAccess
    from runtime.client.client import Client

OCI_SWITCH = "COMPOSE_EXPERIMENTAL_OCI_REMOTE"
GIT_SWITCH = "COMPOSE_EXPERIMENTAL_GIT_REMOTE"
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
SYSTEM_CACHE = "/var/cache"
"""For root whose HOME is somebody else's."""
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class RemoteResources:
    """The remote compose files of one command."""

    def __init__(
        self, environ: Mapping[str, str], client: Callable[[], Client], access: Callable[[], RegistryAccess]
    ) -> None:
        self._environ = environ
        self._client = client
        self._access = access
        self._known: dict[str, Remote] = {}

    def __call__(self, address: str) -> Remote:
        """What an address stands for, its files in the cache; raises ComposeError."""
        if address not in self._known:
            self._known[address] = self._artifact(address) if address.startswith(OCI) else self._repository(address)
        return self._known[address]

    def fetched(self) -> list[Remote]:
        """What was asked for so far, in that order."""
        return list(self._known.values())

    def _artifact(self, address: str) -> Remote:
        self._check(OCI_SWITCH, "OCI")
        reference = full_reference(address.removeprefix(OCI))
        shown = reference.removeprefix("docker.io/library/").removeprefix("docker.io/")
        client, access = self._client(), self._access().of([reference])
        try:
            name, _, digest = reference.partition("@")
            digest = digest or client.registry_digest(reference, access)

            def fetch(directory: str) -> None:
                pinned = f"{name.rpartition(':')[0] if ':' in name.rpartition('/')[2] else name}@{digest}"
                found = client.registry_artifact(pinned, artifact.KINDS, access)
                if found["Kind"] not in artifact.KINDS:
                    raise ComposeError(f"{shown} is not a compose project OCI artifact, but {found['Kind']}")
                for name_there, content in artifact.files(found["Layers"]).items():
                    _write(f"{directory}/{name_there}", content)

            directory = self._filled(digest.partition(":")[2], fetch)
        except EngineError as error:
            raise ComposeError(f'failed to pull OCI resource "{shown}": {error.message}') from error
        return Remote(address, directory, f"{directory}/{artifact.MAIN}", digest)

    def _repository(self, address: str) -> Remote:
        self._check(GIT_SWITCH, "git")
        found = self._git("commit", address)

        def fetch(directory: str) -> None:
            # the commit that was seen: the branch may have moved since
            self._git("files", _at(address, found["Commit"]), directory)

        directory = self._filled(found["Commit"], fetch)
        place = os.path.realpath(os.path.join(directory, found["Subdir"]))
        if not inside(place, os.path.realpath(directory)):
            raise ComposeError(f"{address}: {found['Subdir']} leads out of the repository")
        file = next((f"{place}/{name}" for name in NAMES if os.path.isfile(f"{place}/{name}")), place)
        if not os.path.isfile(file):
            raise ComposeError(f"{address}: no compose file there; expected one of {', '.join(NAMES)}")
        return Remote(address, directory, file, found["Commit"])

    def _git(self, *words: str) -> dict[str, Any]:
        import json
        import subprocess
        import sys

        command = [sys.executable, "-P", "-m", "runtime.build.checkout", *words]
        done = subprocess.run(
            command, env=dict(self._environ), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise ComposeError(f"{words[1]}: git could not be asked (exit code {done.returncode})") from None
        if "error" in answer:
            raise ComposeError(from_wire(answer["error"]).message)
        return answer

    def _check(self, switch: str, kind: str) -> None:
        said = self._environ.get(switch)
        if not said:
            return
        if said not in _BOOLEANS:
            raise ComposeError(f'{switch} environment variable expects boolean value: "{said}" is none')
        if not _BOOLEANS[said]:
            raise ComposeError(f'{kind} remote resource is disabled by "{switch}"')

    def _filled(self, name: str, fetch: Callable[[str], None]) -> str:
        """The directory of that name in the cache, filled by `fetch` if it is not there yet."""
        import shutil

        root = _cache(self._environ)
        directory, filling = f"{root}/{name}", f"{root}/.{name}.{os.getpid()}"
        if os.path.isdir(directory):
            return directory
        try:
            os.mkdir(filling, 0o700)
            fetch(filling)
            os.rename(filling, directory)
        except OSError as error:
            # somebody else was as fast
            if not os.path.isdir(directory):
                reason = (error.strerror or str(error)).lower()
                raise ComposeError(f"cache of remote files {directory}: {reason}") from error
        finally:
            shutil.rmtree(filling, ignore_errors=True)
        return directory


def _cache(environ: Mapping[str, str]) -> str:
    """The directory of what was fetched, made if need be; the user's alone. Raises ComposeError."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        base = f"{home}/.cache" if os.path.isabs(home) else ""
    if os.geteuid() == 0 and not _is_ours(base):
        base = SYSTEM_CACHE
    if not base:
        raise ComposeError("remote files need a cache: neither XDG_CACHE_HOME nor HOME is an absolute path")
    directory = f"{base}/pycompose/remote"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        about = os.lstat(directory)
    except OSError as error:
        raise ComposeError(f"cache of remote files {directory}: {(error.strerror or str(error)).lower()}") from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o022:
        raise ComposeError(f"cache of remote files {directory}: others may write there; remove it")
    return directory


def _is_ours(path: str) -> bool:
    while path and not os.path.exists(path):
        path = os.path.dirname(path)
    return bool(path) and os.stat(path).st_uid == os.geteuid()


def _at(address: str, commit: str) -> str:
    """The address of a repository at a commit."""
    return f"{address.partition('#')[0].partition('?')[0]}#{commit}"


def _write(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
