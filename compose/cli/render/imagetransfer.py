"""Tell a pull or push of one image in Docker's words: lines on standard output, layers in place on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.cli.render import verbs
from compose.cli.render.progress import TtyWriter
from compose.usecases.registryauth import HUB, registry_of
from compose.usecases.transfer import tag_of

if TYPE_CHECKING:
    from compose.cli.invocation import Invocation
    from runtime.wire.plan import PlanEvent

COUNTED = frozenset({"Downloading", "Extracting", "Pushing"})
"""States that only a terminal is told, as Docker does."""


class TransferReporter:
    """One command's transfers; `push` changes the headline."""

    def __init__(self, invocation: Invocation, *, quiet: bool = False, push: bool = False) -> None:
        self._console = invocation.console
        self._quiet = quiet
        self._push = push
        self._terminal = self._console.stdout_is_terminal and not quiet
        self._writer: TtyWriter | None = None
        self._told: dict[str, str] = {}

    def begin(self, reference: str) -> None:
        self._told = {}
        if self._push:
            self.info(f"The push refers to repository [{full_name(reference)}]")
        else:
            tag = tag_of(reference)
            head = reference if tag.startswith("@") else tag[1:]
            self.info(f"{head}: Pulling from {path_of(reference)}")
        if self._terminal:
            console = self._console
            console.stdout.flush()
            title = "Pushing" if self._push else "Pulling"
            self._writer = TtyWriter(console.stdout, console.size, title=title, colour=console.colour(console.stdout))
            self._writer.start()

    def event(self, event: PlanEvent) -> None:
        layer, text = event.get("id", ""), event.get("text", "")
        if event.get("status") != "progress" or not layer:
            return
        if self._writer is not None:
            state = verbs.DONE if verbs.is_last(text) else verbs.WORKING
            line = verbs.Line(layer, state, text, current=event.get("current", 0), total=event.get("total", 0))
            self._writer.line(line)
        elif text not in COUNTED and self._told.get(layer) != text:
            self._told[layer] = text
            self.info(f"{layer}: {text}")

    def pulled(self, reference: str, digest: str, *, changed: bool) -> None:
        state = "Downloaded newer image" if changed else "Image is up to date"
        self.info(f"Digest: {digest}")
        self.info(f"Status: {state} for {reference}")
        self._console.write(f"{canonical(reference)}\n")

    def pushed(self, reference: str, digest: str, size: int) -> None:
        self.info(f"{tag_of(reference)[1:]}: digest: {digest} size: {size}")
        if self._quiet:
            self._console.write(f"{canonical(reference)}\n")

    def end(self) -> None:
        if self._writer is not None:
            self._writer.stop()
            self._writer = None

    def info(self, text: str) -> None:
        if not self._quiet:
            self._console.write(f"{text}\n")
            self._console.stdout.flush()

    def plan(self, text: str) -> None:
        self._console.write(text)


def path_of(reference: str) -> str:
    """The repository within its registry: `library/busybox`."""
    name = reference.removesuffix(tag_of(reference))
    registry = registry_of(reference)
    path = name.partition("/")[2] if name.startswith(f"{registry}/") else name
    return f"library/{path}" if registry == HUB and "/" not in path else path


def full_name(reference: str) -> str:
    """`docker.io/library/busybox`."""
    return f"{registry_of(reference)}/{path_of(reference)}"


def canonical(reference: str) -> str:
    """The complete reference, with its tag or digest."""
    return full_name(reference) + (tag_of(reference) or ":latest")
