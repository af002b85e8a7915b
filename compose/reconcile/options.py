"""What a command line may ask of the planner; times in seconds.

The planner never asks back: a question is a mark on an operation, and the answer "no" comes back in `declined`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from compose.model.record import Record
from compose.reconcile.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.network import PortConfig

Recreate = Literal["diverged", "force", "never"]


class ImageOptions(Record):
    """How images get here before the rest is planned."""

    ensure: bool = True
    """False: they were seen to already."""
    pull: str = ""
    """A policy instead of each service's own: `always`, `missing`, `never`, `build`."""
    quiet_pull: bool = False
    """Say that an image is pulled, but not how far each layer is."""
    build: Literal["", "always", "never"] = ""
    """"" builds what is missing and can be built, or has that policy; `always` all that can be, whatever there is."""


class UpOptions(Record):
    """Options of `up`, `create` (`start=False`), `scale` and the dependencies of `run`."""

    services: tuple[str, ...] = ()
    """Named on the command line; none named means all."""
    no_deps: bool = False
    start: bool = True
    recreate: Recreate = "diverged"
    """For the named services."""
    recreate_dependencies: Recreate = "diverged"
    """For what the named services need."""
    renew_anonymous_volumes: bool = False
    """Recreate the named services with new anonymous volumes."""
    remove_orphans: bool = False
    ignore_orphans: bool = False
    scale: Mapping[str, int] = NOTHING
    timeout: int | None = None
    """Grace period of stops; None leaves it to each container."""
    wait: bool = False
    """Wait in the end until all services are running or healthy, or completed if something depends on that."""
    wait_timeout: int | None = None
    declined: frozenset[str] = frozenset()
    """Resources (`volume app_data`) whose question was answered with no."""
    all_resources: bool = False
    """Create also networks and volumes that no service uses."""
    env_files: tuple[str, ...] = ()
    """Of `--env-file`, for the label."""
    seccomp_profiles: Mapping[str, str] = NOTHING
    """Contents of the profiles named by `security_opt`, keyed by path."""
    images: ImageOptions = ImageOptions()


class DownOptions(Record):
    """Options of `down`."""

    services: tuple[str, ...] = ()
    remove_orphans: bool = False
    volumes: bool = False
    images: Literal["", "local", "all"] = ""
    timeout: int | None = None


class StopOptions(Record):
    """Options of `stop`."""

    services: tuple[str, ...] = ()
    timeout: int | None = None


class StartOptions(Record):
    """Options of `start`."""

    services: tuple[str, ...] = ()
    wait: bool = False
    wait_timeout: int | None = None


class RestartOptions(Record):
    """Options of `restart`."""

    services: tuple[str, ...] = ()
    timeout: int | None = None
    no_deps: bool = False


class KillOptions(Record):
    """Options of `kill`."""

    services: tuple[str, ...] = ()
    signal: str = "SIGKILL"
    remove_orphans: bool = False


class RemoveOptions(Record):
    """Options of `rm`."""

    services: tuple[str, ...] = ()
    stop: bool = False
    force: bool = False
    """Do not ask."""
    volumes: bool = False


class RunOptions(Record):
    """Options of `run`; `slug` is 64 random hexadecimal digits, the planner has no source of chance."""

    service: str
    slug: str
    name: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    user: str = ""
    working_dir: str = ""
    environment: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    tty: bool = False
    interactive: bool = True
    auto_remove: bool = False
    use_aliases: bool = False
    start: bool = True
    """False leaves the start to the client, which attaches first."""
    no_deps: bool = False
    service_ports: bool = False
    publish: tuple[PortConfig, ...] = ()
    remove_orphans: bool = False
    ignore_orphans: bool = True
    env_files: tuple[str, ...] = ()
    seccomp_profiles: Mapping[str, str] = NOTHING
