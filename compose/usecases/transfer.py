"""Pull and push single images by name, as `docker pull` and `docker push` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from compose.errors import ComposeError, UsageError
from compose.reconcile.plan import PlanBuilder
from compose.usecases.ensure_images import with_access
from runtime.errors import Unavailable, from_wire

if TYPE_CHECKING:
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from runtime.client.client import Client
    from runtime.wire.plan import PlanEvent


class TransferSink(Protocol):
    """Receives what is told about transfers of single images."""

    def begin(self, reference: str) -> None:
        """One image is about to be transferred."""

    def event(self, event: PlanEvent) -> None:
        """A layer, or the image as a whole, got somewhere."""

    def pulled(self, reference: str, digest: str, *, changed: bool) -> None:
        """An image is here."""

    def pushed(self, reference: str, digest: str, size: int) -> None:
        """An image is in its registry; `size` is that of its manifest."""

    def end(self) -> None:
        """No more is coming of this image."""

    def info(self, text: str) -> None:
        """Something to tell."""

    def plan(self, text: str) -> None:
        """The plan is shown instead of executed."""


def pull(
    client: Client,
    name: str,
    sink: TransferSink,
    *,
    access: RegistryAccess,
    platform: str = "",
    all_tags: bool = False,
    dry_run: bool = False,
) -> None:
    """Pull one image, or all tags of its repository. Raises UsageError, EngineError."""
    tag = tag_of(name)
    if all_tags and tag:
        raise UsageError("tag can't be used with --all-tags/-a")
    if all_tags:
        references = [f"{name}:{each}" for each in client.registry_tags(name, access.of([name]))]
    else:
        if not tag:
            sink.info("Using default tag: latest")
        references = [name if tag else f"{name}:latest"]
    for reference in references:
        args = {"Reference": reference, "Policy": "always", **({"Platform": platform} if platform else {})}
        result, changed = _one(client, "PullImage", args, sink, access=access, cause="image pull", dry_run=dry_run)
        if not dry_run:
            sink.pulled(reference, str(result.get("Digest", "")), changed=changed)


def push(
    client: Client,
    name: str,
    sink: TransferSink,
    *,
    access: RegistryAccess,
    all_tags: bool = False,
    dry_run: bool = False,
) -> None:
    """Push one image, or all that is here of its repository. Raises UsageError, ComposeError, EngineError."""
    tag = tag_of(name)
    if all_tags and tag:
        raise UsageError("tag can't be used with --all-tags/-a")
    if tag.startswith("@"):
        raise UsageError("cannot push a digest reference")
    if all_tags:
        references = local_tags(client, name)
        if not references:
            raise ComposeError(f"An image does not exist locally with the tag: {name}")
    else:
        if not tag:
            sink.info("Using default tag: latest")
        references = [name if tag else f"{name}:latest"]
    for reference in references:
        args = {"Reference": reference}
        result, _ = _one(client, "PushImage", args, sink, access=access, cause="image push", dry_run=dry_run)
        if not dry_run:
            sink.pushed(reference, str(result.get("Digest", "")), int(result.get("Size") or 0))


def tag_of(name: str) -> str:
    """The tag or digest behind a name, with its sign; "" if there is none."""
    if "@" in name:
        return name[name.index("@") :]
    head, colon, tag = name.rpartition(":")
    return f":{tag}" if colon and head and "/" not in tag else ""


def local_tags(client: Client, name: str) -> list[str]:
    """All references of a repository that are here."""
    tags = [str(tag) for image in client.images() for tag in image.get("RepoTags") or ()]
    return sorted(tag for tag in tags if tag_of(tag) and tag[: -len(tag_of(tag))] == name)


def _one(
    client: Client,
    kind: Any,
    args: dict[str, Any],
    sink: TransferSink,
    *,
    access: RegistryAccess,
    cause: str,
    dry_run: bool,
) -> tuple[dict[str, Any], bool]:
    """Execute a plan of one transfer; its result and whether it changed anything."""
    builder = PlanBuilder()
    reference = args["Reference"]
    builder.add(kind, subject=f"image:{reference}", resource=f"image {reference}", cause=cause, args=args)
    plan: Plan = with_access(builder.build(""), access)
    if dry_run:
        sink.plan(str(plan))
        return {}, False
    sink.begin(reference)
    try:
        for event in client.submit(plan.to_wire()):
            status = event.get("status")
            if status in ("done", "unchanged"):
                return event.get("result") or {}, status == "done"
            if status in ("failed", "finished") and event.get("error"):
                raise from_wire(event["error"])
            sink.event(event)
    finally:
        sink.end()
    raise Unavailable(f"image {reference}: engine went away in the middle of the transfer; once more goes on with it")
