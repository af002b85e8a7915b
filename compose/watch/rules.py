"""Decide what file changes lead to: the triggers of `develop.watch` turned into one list of work per service.

Pure: changes in, work out. A change counts for every rule that accepts it, as in Docker Compose; of several changes
that end at the same place in a container the last one stands.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Literal, NamedTuple

from compose.errors import ComposeError
from compose.model.record import Record
from runtime.wire.ignorefile import BadPattern, Matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from compose.model.develop import Trigger
    from compose.model.hook import ServiceHook
    from compose.model.project import Project
    from compose.model.service import ServiceConfig

Kind = Literal["file", "link", "dir", "gone"]

SYNCING = frozenset({"sync", "sync+restart", "sync+exec"})
RESTARTING = frozenset({"restart", "sync+restart"})
DEFAULT_IGNORES = (
    "**/.git",
    "**/.DS_Store",
    "**/*___jb_old___", "**/*___jb_tmp___", "**/.idea",
    "**/.#*", "**/#*#",
    "**/4913", "**/*~", "**/.*.swp", "**/.*.swx", "**/.*.swo", "**/.*.swn",
    "**/*.kate-swp",
    "**/.goutputstream-*", "**/.~lock.*#",
    "**/*-go-tmp-umask",
)  # fmt: skip
"""What version control, editors and Go write beside the files that are meant."""
EPHEMERAL = Matcher(DEFAULT_IGNORES)


class Change(NamedTuple):
    """What became of a path, after the dust has settled."""

    path: str
    kind: Kind
    was: Kind = "gone"
    """What it was before."""


class Scope(NamedTuple):
    """Patterns about the paths below a directory."""

    directory: str
    matcher: Matcher


class Rule(Record):
    """A trigger of a service, ready to be asked."""

    service: str
    path: str
    action: str
    target: str
    hook: ServiceHook | None
    include: Matcher
    ignore: Matcher
    context: Scope | None
    """The .dockerignore of the build context."""
    initial_sync: bool
    mounted: tuple[str, ...]
    """Directories and files in the container that are the host's own: nothing is written there."""

    @property
    def syncs(self) -> bool:
        return self.action in SYNCING

    def accepts(self, path: str) -> bool:
        """Whether a change of the path is a matter of this rule."""
        below = _below(path, self.path)
        if below is None:
            return False
        if below == ".":
            return True
        if EPHEMERAL.matches(below) or self.ignore.matches(below) or self._ignored_in_context(path):
            return False
        return not self.include or self.include.matches(below)

    def prunes(self, directory: str) -> bool:
        """Whether nothing below the directory can be a matter of this rule."""
        below = _below(directory, self.path)
        if below is None:
            return _below(self.path, directory) is None
        if below == ".":
            return False
        if EPHEMERAL.prunes(below) or self.ignore.prunes(below):
            return True
        return (
            self.context is not None and self._ignored_in_context(directory) and not self.context.matcher.has_negations
        )

    def destination(self, path: str) -> str:
        """Where a path of the host is in the container."""
        below = _below(path, self.path)
        return posixpath.normpath(posixpath.join("/", self.target, below or "."))

    def is_mounted(self, destination: str) -> bool:
        """Whether a path in the container is, or lies in, what is mounted from the host."""
        return any(_below(destination, mount) is not None for mount in self.mounted)

    def _ignored_in_context(self, path: str) -> bool:
        if self.context is None:
            return False
        below = _below(path, self.context.directory)
        return below not in (None, ".") and self.context.matcher.matches(str(below))


class Work(Record):
    """What is to be done for one service after a batch of changes."""

    service: str
    copies: Mapping[str, str]
    """Place in the container to path on the host, in an order in which directories come before what is in them."""
    deletions: tuple[str, ...]
    """Places in the container; nothing below one that is listed is listed."""
    restart: bool
    rebuild: bool
    hooks: tuple[ServiceHook, ...]
    paths: tuple[str, ...]
    """The files whose changes led to this, relative to their rules, for the user."""


class Refusal(NamedTuple):
    """A trigger that cannot be followed, and why."""

    service: str
    path: str
    reason: str


def compile_rules(
    project: Project, services: Sequence[str], dockerignore: Callable[[ServiceConfig], Scope | None]
) -> tuple[list[Rule], list[Refusal]]:
    """The rules of the services (all if none is named), and the triggers that are left out.

    `dockerignore` reads the ignore file of a service's build context. Raises ComposeError for a pattern that means
    nothing, NoSuchService.
    """
    rules: list[Rule] = []
    refused: list[Refusal] = []
    for name in services or tuple(project.services):
        service = project.service(name)
        triggers = service.develop.watch if service.develop is not None else ()
        if not triggers:
            continue
        context = dockerignore(service)
        for position, trigger in enumerate(triggers):
            reason = _refusal(service, trigger)
            if reason:
                refused.append(Refusal(name, trigger.path, reason))
                continue
            where = f"services.{name}.develop.watch[{position}]"
            rules.append(_rule(service, trigger, context, where))
    return rules, refused


def decide(rules: Iterable[Rule], changes: Sequence[Change]) -> list[Work]:
    """The work of every service that one of the changes concerns, in the order of the rules."""
    drafts: dict[str, _Draft] = {}
    for rule in rules:
        accepted = [change for change in changes if rule.accepts(change.path)]
        # A directory alone has no content: it is brought over, but starts nothing anew.
        material = [
            change for change in accepted if "dir" not in (change.kind, change.was if change.kind == "gone" else "")
        ]
        if accepted and (rule.syncs or material):
            drafts.setdefault(rule.service, _Draft(rule.service)).add(rule, accepted, material)
    return [work for work in (draft.finish() for draft in drafts.values()) if work is not None]


class _Draft:
    """Collects the work of a service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.copies: dict[str, str] = {}
        self.deletions: dict[str, None] = {}
        self.hooks: list[ServiceHook] = []
        self.paths: dict[str, None] = {}
        self.restart = False
        self.rebuild = False

    def add(self, rule: Rule, accepted: Sequence[Change], material: Sequence[Change]) -> None:
        for change in material or accepted:
            below = _below(change.path, rule.path)
            self.paths.setdefault(posixpath.basename(change.path) if below == "." else str(below))
        if rule.syncs:
            for change in sorted(accepted):
                self._sync(rule.destination(change.path), rule, change)
        if not material:
            return
        self.restart = self.restart or rule.action in RESTARTING
        self.rebuild = self.rebuild or rule.action == "rebuild"
        if rule.action == "sync+exec" and rule.hook is not None and rule.hook not in self.hooks:
            self.hooks.append(rule.hook)

    def _sync(self, destination: str, rule: Rule, change: Change) -> None:
        if rule.is_mounted(destination) or destination == "/":
            return
        if change.kind == "gone":
            self.copies.pop(destination, None)
            self.deletions[destination] = None
        else:
            self.deletions.pop(destination, None)
            self.copies[destination] = change.path

    def finish(self) -> Work | None:
        deletions = tuple(path for path in sorted(self.deletions) if not _in_any(path, self.deletions))
        if not (self.copies or deletions or self.hooks or self.restart or self.rebuild):
            return None
        return Work(
            service=self.service,
            copies=dict(sorted(self.copies.items())),
            deletions=deletions,
            restart=self.restart,
            rebuild=self.rebuild,
            hooks=tuple(self.hooks),
            paths=tuple(self.paths),
        )


def listed(paths: Sequence[str]) -> str:
    """Changed files in a few words."""
    return " and ".join(paths) if len(paths) < 3 else f"{len(paths)} files"


def _rule(service: ServiceConfig, trigger: Trigger, context: Scope | None, where: str) -> Rule:
    try:
        include, ignore = Matcher(trigger.include), Matcher(trigger.ignore)
    except BadPattern as error:
        raise ComposeError(f"{where}: {error}") from error
    return Rule(
        service=service.name,
        path=posixpath.normpath(trigger.path),
        action=trigger.action,
        target=trigger.target,
        hook=trigger.exec if trigger.action == "sync+exec" else None,
        include=include,
        ignore=ignore,
        context=context,
        initial_sync=trigger.initial_sync and trigger.action in ("sync", "sync+restart"),
        mounted=tuple(mount.target for mount in service.volumes if mount.type == "bind"),
    )


def _refusal(service: ServiceConfig, trigger: Trigger) -> str:
    if trigger.action not in SYNCING:
        return ""
    for mount in service.volumes:
        if mount.type == "bind" and _below(trigger.path, posixpath.normpath(mount.source)) is not None:
            return f"is mounted at {mount.target} already, changes are seen there without syncing"
    return ""


def _below(path: str, directory: str) -> str | None:
    """`path` relative to the directory, `.` for itself; None if it lies elsewhere."""
    if path == directory:
        return "."
    prefix = directory if directory.endswith("/") else f"{directory}/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _in_any(path: str, directories: Mapping[str, None]) -> bool:
    parent = posixpath.dirname(path)
    while parent != "/":
        if parent in directories:
            return True
        parent = posixpath.dirname(parent)
    return False
