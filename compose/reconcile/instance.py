"""Describe one container to be made: the service, and what only the plan knows (number, name, references)."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from compose.model.naming import container_name
from compose.model.record import Record
from compose.reconcile.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.project import Project
    from compose.model.service import ServiceConfig


class Instance(Record):
    """A container of a service; `number` is 0 for a one-off, which has a `slug` instead."""

    project: Project
    service: ServiceConfig
    number: int
    config_hash: str = ""
    image_id: str = ""
    containers: Mapping[str, str] = NOTHING
    """Service to name or id of its first container, for shared namespaces and volumes."""
    linked: Mapping[str, tuple[str, ...]] = NOTHING
    """Service to the names of all its containers, for links."""
    replaces: str = ""
    """Id of the container that this one replaces."""
    inherit_volumes: bool = True
    """Take over the anonymous volumes of the one that is replaced."""
    slug: str = ""
    one_off_name: str = ""
    attach_stdin: bool = False
    auto_remove: bool = False
    use_aliases: bool = True
    env_files: tuple[str, ...] = ()
    seccomp_profiles: Mapping[str, str] = NOTHING

    @property
    def name(self) -> str:
        """The name it has in the end; while the container it replaces is still there, it has `temporary_name`."""
        if self.slug:
            return self.one_off_name or self.project.separator.join(
                (self.project.name, self.service.name, "run", self.slug[:12])
            )
        return container_name(self.project, self.service, self.number)

    @property
    def temporary_name(self) -> str:
        """`<first 12 digits of the old id>_<name>`."""
        return f"{self.replaces[:12]}_{self.name}"


def seccomp_path(security_opt: str, working_dir: str) -> str:
    """The absolute path of the profile that a `security_opt` names, or ""."""
    name, _, value = security_opt.partition("=" if "=" in security_opt else ":")
    if name != "seccomp" or value in ("", "unconfined", "builtin"):
        return ""
    return posixpath.normpath(posixpath.join(working_dir, value))
