"""The mounts of a RUN, and the run itself: what is prepared before, the container, what is put back after.

Nothing of a mount stays in the layer: a mount point that was made for it goes again if the command left it empty.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from runtime.build import agents, copystep, gopath, runstep
from runtime.build.runstep import Prepared
from runtime.errors import EngineError, InvalidParameter, NotFound, SystemFailure
from runtime.images.snapshot import mountpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.build.dockerfile.model import Heredoc, Mount
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.build.snapshots import Snapshot


class Mounts:
    """The mounts of one RUN. `source` finds the files that a `from` names; the empty one is the build context."""

    def __init__(
        self, session: Session, mounts: Sequence[Mount], cwd: str, source: Callable[[str], copystep.Source]
    ) -> None:
        self._session = session
        self._mounts = mounts
        self._cwd = cwd
        self._source = source
        self._held: list[int] = []
        self._files: list[str] = []
        self._loans: list[agents.Loan] = []

    def digests(self) -> list[str]:
        """What binds show, for the cache key; secrets, agents and caches are no part of it."""
        found = []
        for mount in self._mounts:
            path = mount.source or "/"
            if mount.type != "bind":
                found.append(self._source(mount.from_).key if mount.from_ else "")
                continue
            source = self._source(mount.from_)
            if source.key and gopath.clean(path) == "/":
                found.append(source.key)  # to read a whole root is more than the state's key is worth
                continue
            digest, _ = source.digest(lambda: source.tree.select(path, wildcards=False), "bind", path)  # noqa: B023
            found.append(digest)
        return found

    def prepare(self, place: str) -> list[Prepared]:
        """Make everything ready for one run; `place` is the step's directory. Raises NotFound for a required secret."""
        prepared: list[Prepared] = []
        for number, mount in enumerate(self._mounts):
            prepared += getattr(self, f"_{mount.type}")(mount, number, place)
        return prepared

    def release(self) -> None:
        """After the run: locks, secret files and agents' sockets go."""
        for loan in self._loans:
            loan.close()
        for fd in self._held:
            os.close(fd)
        for path in self._files:
            os.unlink(path)
        self._held.clear()
        self._files.clear()
        self._loans.clear()

    def _bind(self, mount: Mount, number: int, place: str) -> list[Prepared]:
        source = self._source(mount.from_)
        target = runstep.absolute(mount.target, self._cwd)
        real = source.tree.resolve(gopath.clean(mount.source or "/"))
        path = f"{source.tree.path}{real}".rstrip("/") or "/"
        if mount.readonly and not source.tree.has_rules:
            return [Prepared(runstep.bind(path, target, readonly=True))]
        # writes are thrown away, and what the ignore rules name is not there
        return [Prepared(copystep.scratch_bind(self._session, source, real, f"{place}/bind-{number}", target))]

    def _cache(self, mount: Mount, number: int, place: str) -> list[Prepared]:
        path, lock, new = self._session.cache_mounts.take(mount)
        self._held.append(lock)
        if new and mount.from_:
            copystep.fill(self._source(mount.from_).tree, mount.source or "/", path)
        return [Prepared(runstep.bind(path, runstep.absolute(mount.target, self._cwd), readonly=mount.readonly))]

    def _tmpfs(self, mount: Mount, number: int, place: str) -> list[Prepared]:
        entry = runstep.tmpfs(mount)
        return [Prepared({**entry, "destination": runstep.absolute(mount.target, self._cwd)})]

    def _secret(self, mount: Mount, number: int, place: str) -> list[Prepared]:
        data = self._session.request.secrets.get(mount.id)
        if data is None:
            if mount.required:
                raise NotFound(f"secret {mount.id}: not found")
            return []
        prepared = []
        if mount.env:
            prepared.append(Prepared({}, f"{mount.env}={data.decode('utf-8', 'surrogateescape')}"))
        target = runstep.secret_target(mount)
        if target:
            unique = f"{os.path.basename(place)}-{number}"
            path = runstep.secret_file(self._session.memory, unique, mount, data)
            self._files.append(path)
            prepared.append(Prepared(runstep.bind(path, runstep.absolute(target, self._cwd), readonly=True)))
        return prepared

    def _ssh(self, mount: Mount, number: int, place: str) -> list[Prepared]:
        identifier = mount.id or "default"
        socket = self._session.request.ssh.get(identifier)
        if socket is None:
            if mount.required:
                raise NotFound(f"unset ssh forward key {identifier}")
            return []
        if not os.path.exists(socket) or not stat.S_ISSOCK(os.stat(socket).st_mode):
            raise InvalidParameter(f"ssh agent {identifier}: {socket} is no socket")
        earlier = sum(item.type == "ssh" for item in self._mounts[:number])
        target = runstep.absolute(runstep.agent_target(mount, earlier), self._cwd)
        loan = agents.Loan(
            f"{self._session.memory}/agent-{os.urandom(4).hex()}",
            socket,
            uid=mount.uid or 0,
            gid=mount.gid or 0,
            mode=0o600 if mount.mode is None else mount.mode,
        )
        self._loans.append(loan)
        return [Prepared(runstep.bind(loan.path, target, readonly=False), f"SSH_AUTH_SOCK={target}")]


def run(
    session: Session,
    snapshot: Snapshot,
    place: str,
    command: runstep.Command,
    mounts: Mounts,
    vertex: Vertex,
) -> None:
    """Run a command on `snapshot`, what it changes going to `place`; raises SystemFailure with its output and exit code."""
    network = None if command.network == "host" else session.networks.take(command.network)
    try:
        prepared = mounts.prepare(place)
        if command.script is not None:
            prepared.append(_script(place, command.script))
        files = runstep.host_files(
            session.memory,
            session.request,
            network=command.network,
            gateway=network.gateway if network else "",
            embedded=bool(network and network.embedded),
        )
        mountpoints.ensure(session.paths.mount_points)
        rootfs = session.snapshots.rootfs(snapshot, place, session.paths.mount_points)
        spec = runstep.make_spec(
            command,
            rootfs=rootfs,
            root_path=f"{place}/root",
            prepared=prepared,
            files=files,
            request=session.request,
            facts=session.facts,
            identifier=os.path.basename(place),
        )
        targets = [str(item.oci["destination"]) for item in prepared if item.oci]
        stubs = _missing(session, snapshot, targets) if targets else []
        ended = session.containers.run(spec, network.fd if network else None, vertex.log)
        _remove_stubs(f"{place}/diff", stubs)
    except EngineError as error:
        session.check()
        if "exit_code" not in error.fields:
            raise
        code = int(error.fields["exit_code"])
        if code not in (126, 127):
            words = " ".join(command.argv)
            error.message = f'process "{words}" did not complete successfully: {error.message}'
            raise
        vertex.log(f"{error.message}\n".encode())
        raise _failure(command, code, 0, vertex) from error
    finally:
        mounts.release()
        if network is not None:
            session.networks.give_back(command.network, network)
    session.check()
    if ended.oom:
        raise _failure(command, ended.code, ended.signal, vertex, "cannot allocate memory")
    if ended.code:
        raise _failure(command, ended.code, ended.signal, vertex)


def _failure(command: runstep.Command, code: int, signum: int, vertex: Vertex, why: str = "") -> SystemFailure:
    words = " ".join(command.argv)
    reason = f": {why}" if why else ""
    return SystemFailure(
        f'process "{words}" did not complete successfully: exit code: {code}{reason}',
        exit_code=code,
        signal=signum,
        vertex=vertex.name,
        log=vertex.output,
    )


def script_path(name: str) -> str:
    """Where a RUN sees the here-document of that name which it executes."""
    return f"/dev/pipes/{os.path.basename(name)}"


def _script(place: str, document: Heredoc) -> Prepared:
    path = f"{place}/script"
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(document.content)
        os.fchmod(file.fileno(), 0o755)
    return Prepared(runstep.bind(path, script_path(document.name), readonly=True))


def _missing(session: Session, snapshot: Snapshot, targets: Sequence[str]) -> list[str]:
    """The directories and files that mounts need and the snapshot does not have, outer ones first."""
    view = session.snapshots.view(snapshot)
    missing: list[str] = []
    for target in targets:
        parts = target.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if path not in missing and not os.path.lexists(f"{view}/{path}"):
                missing.append(path)
    return missing


def _remove_stubs(upper: str, stubs: Sequence[str]) -> None:
    for stub in reversed(stubs):
        path = f"{upper}/{stub}"
        try:
            found = os.lstat(path)
        except OSError:
            continue
        parent = os.path.dirname(path)
        before = os.lstat(parent)
        try:
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(path)
            elif stat.S_ISREG(found.st_mode) and not found.st_size:
                os.unlink(path)
        except OSError:
            continue  # the command left something in it
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
