"""Every file location hangs off one Paths object; nothing is global.

`PYCOMPOSE_ROOT` moves both trees: data to `$PYCOMPOSE_ROOT/data`, runtime state to `$PYCOMPOSE_ROOT/run`.
Without it root uses /var/lib/pycompose and /run/pycompose, other users their XDG directories.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Paths:
    """`root` holds what survives a reboot, `run` what does not.

    A plain class, and typing not imported: every command begins here, and dataclasses alone cost 10 ms.
    """

    __slots__ = ("root", "run")

    def __init__(self, root: str, run: str) -> None:
        self.root = root
        self.run = run

    @property
    def engine_socket(self) -> str:
        return f"{self.run}/engine.sock"

    @property
    def engine_lock(self) -> str:
        return f"{self.run}/engine.lock"

    @property
    def engine_log(self) -> str:
        return f"{self.root}/engine.log"

    @property
    def zygote_socket(self) -> str:
        return f"{self.run}/zygote.sock"

    @property
    def containers(self) -> str:
        return f"{self.root}/containers"

    @property
    def images(self) -> str:
        return f"{self.root}/images"

    @property
    def volumes(self) -> str:
        return f"{self.root}/volumes"

    @property
    def networks(self) -> str:
        return f"{self.root}/networks"

    @property
    def sandboxes(self) -> str:
        return f"{self.root}/sandboxes"

    @property
    def trash(self) -> str:
        """Renamed-away trees that a worker deletes in the background."""
        return f"{self.root}/trash"

    def container(self, container_id: str) -> str:
        return f"{self.containers}/{container_id}"

    def container_log(self, container_id: str) -> str:
        return f"{self.containers}/{container_id}/{container_id}-json.log"

    @property
    def root_mount_point(self) -> str:
        """An empty directory: every container mounts its root there, each in a mount namespace of its own."""
        return f"{self.root}/rootfs"

    @property
    def mount_points(self) -> str:
        """The layer with what is mounted over in every container (runtime.images.snapshot.mountpoints)."""
        return f"{self.root}/mount-points"

    @property
    def bundles(self) -> str:
        """Where the zygote's tmpfs with the OCI bundles is mounted: empty for everybody outside its mount namespace."""
        return f"{self.run}/bundles"

    def bundle(self, container_id: str) -> str:
        return f"{self.bundles}/{container_id}"

    def shim_socket(self, container_id: str) -> str:
        return f"{self.run}/shims/{container_id[:12]}"

    def exit_record(self, container_id: str) -> str:
        return f"{self.containers}/{container_id}/exit.json"


def from_environment(environ: Mapping[str, str], uid: int) -> Paths:
    """The paths that the caller's environment asks for; `uid` is the effective user id."""
    moved = environ.get("PYCOMPOSE_ROOT")
    if moved:
        return Paths(root=f"{moved}/data", run=f"{moved}/run")
    if uid == 0:
        return Paths(root="/var/lib/pycompose", run="/run/pycompose")
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    run = environ.get("XDG_RUNTIME_DIR") or f"/tmp/pycompose-{uid}"
    return Paths(root=f"{data}/pycompose", run=f"{run}/pycompose")
