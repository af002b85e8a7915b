"""Build an image: parse, find the stages that are needed and their bases, build them side by side, write the result.

Stages wait for each other only where one copies from or starts from another. The first failure stops the rest; what was
finished by then stays in the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from runtime.build import bases, caches, export, imageconfig
from runtime.build.dockerfile import args, contextref, stages
from runtime.build.dockerfile.model import Run
from runtime.build.dockerfile.parser import parse
from runtime.build.session import Canceled, key_of
from runtime.build.snapshots import Snapshot
from runtime.build.stagebuild import COUNTED, StageBuilder, State
from runtime.errors import EngineError, InvalidParameter
from runtime.images import platform as platforms

if TYPE_CHECKING:
    from concurrent.futures import Future

    from runtime.build.dockerfile.model import Dockerfile
    from runtime.build.dockerfile.stages import Node, Origin, StageGraph
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.images.records import Image

MOST_AT_ONCE: Final = 16
"""Stages that are built side by side."""


class Solver:
    """One build. `solve` is called once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._bases = bases.Bases(session)
        self._futures: dict[int, Future[State]] = {}
        self._dockerfile: Dockerfile | None = None
        self._text = ""
        self._platform = platforms.parse(session.request.platform)

    def solve(self) -> Image | None:
        """Build the target stage and export it; the image, None if only files were asked for. Raises EngineError.

        An error that belongs to a line has `file`, `line`, `end_line` and `source` (numbered lines) in its fields.
        """
        try:
            return self._solve()
        except EngineError as error:
            self._explain(error)
            raise

    def _solve(self) -> Image | None:
        session = self._session
        vertex = session.progress.vertex("[internal] load build definition from " + self._name())
        data = self._guarded(vertex, lambda: session.contexts.load(vertex))
        self._text = data.decode("utf-8", "replace")
        self._dockerfile = parse(data, session.contexts.dockerfile_name)
        vertex.done()
        request = session.request
        local, target = str(_text(platforms.local())), _text(self._platform)
        known = args.global_args(self._dockerfile, request.build_args, local, target, request.target)
        contexts = list(request.contexts)
        graph = stages.plan(known, request.target, contexts)
        if request.check:
            self._warn()
            return None
        images = self._load_bases(graph)
        triggers = {
            index: tuple(image.config.get("OnBuild") or ())
            for index, image in images.items()
            if image.config.get("OnBuild")
        }
        if triggers:
            graph = stages.plan(known, request.target, contexts, triggers)
            images |= self._load_bases(graph, skip=images)
        self._load_ignore_rules(graph)
        caches.take(session, self._bases)
        session.has_runs = any(isinstance(item, Run) for node in graph.nodes.values() for item in node.instructions)
        state = self._build(graph, known, images)
        self._warn()
        return export.export(session, state)

    def _warn(self) -> None:
        for warning in self._dockerfile.warnings if self._dockerfile is not None else ():
            self._session.progress.warning(warning.rule, warning.message, warning.line)

    def _name(self) -> str:
        return (self._session.request.dockerfile or "Dockerfile").rpartition("/")[2]

    def _load_bases(self, graph: StageGraph, skip: dict[int, Image] | None = None) -> dict[int, Image]:
        """The images that stages start from, by stage number, all at once."""
        wanted = {
            index: (node.base, node.platform)
            for index, node in graph.nodes.items()
            if node.base.kind == "image" and index not in (skip or {})
        }
        found = {}
        for index, (origin, platform) in wanted.items():
            try:
                found[index] = self._bases.image(origin.name, platform, graph)
            except EngineError as error:
                error.fields.setdefault("line", graph.nodes[index].stage.line)
                raise
        return found

    def _load_ignore_rules(self, graph: StageGraph) -> None:
        session = self._session
        vertex = session.progress.vertex("[internal] load .dockerignore")
        self._guarded(vertex, lambda: session.contexts.tree("", vertex))
        vertex.done()

    def _build(self, graph: StageGraph, known: args.Globals, images: dict[int, Image]) -> State:
        many = len(known.dockerfile.stages) > 1
        workers = min(len(graph.nodes), MOST_AT_ONCE)
        failure: list[EngineError] = []

        def build(index: int) -> State:
            node = graph.nodes[index]
            try:
                return self._stage(node, known, images.get(index), many=many, graph=graph)
            except EngineError as error:
                if not isinstance(error, Canceled):
                    failure.append(error)
                    self._session.stop()
                raise

        if workers == 1:
            # the only stage: no thread to wait for
            return build(graph.target)
        with ThreadPoolExecutor(workers, thread_name_prefix="stage") as pool:
            # in rising order: a stage waits only for those that were handed to the pool before it
            for index in sorted(graph.nodes):
                self._futures[index] = pool.submit(build, index)
            try:
                return self._futures[graph.target].result()
            except EngineError as error:
                self._session.stop()
                raise failure[0] if failure else error from None

    def _stage(self, node: Node, known: args.Globals, image: Image | None, *, many: bool, graph: StageGraph) -> State:
        state = self._start(node, known, image)
        name = (node.stage.name or f"stage-{node.stage.index}") if many else ""
        session = self._session
        counted = node.base.kind == "image"
        filtered = (node.stage.name or str(node.stage.index)) in session.request.no_cache_filter
        builder = StageBuilder(
            session,
            node,
            state,
            name=name,
            origin=lambda origin: self._origin(origin, graph),
            counted_base=counted,
            use_cache=not session.request.no_cache and not filtered,
        )
        if counted:
            total = 1 + sum(isinstance(item, COUNTED) for item in node.instructions)
            label = f"{name} " if name else ""
            self._bases.unpack_shown(
                image, f"[{label}{1:>{len(str(total))}}/{total}] FROM {bases.shown(node.base.name)}"
            )
        return builder.build()

    def _start(self, node: Node, known: args.Globals, image: Image | None) -> State:
        if node.base.kind == "stage":
            base = self._futures[node.base.stage].result()
            scope = args.scope(known, base.image.config.get("Env") or (), base.scope)
            return State(base.snapshot, base.key, base.image.copy(), scope)
        if image is not None:
            config = imageconfig.of_image(image.document)
            snapshot, key = self._bases.snapshot(image)
            return State(snapshot, key, config, args.scope(known, config.config.get("Env") or ()))
        if node.base.kind == "context":
            return self._from_context(node.base, known)
        platform = platforms.parse(node.platform) if node.platform else self._platform
        config = imageconfig.empty(platform.architecture, platform.variant)
        return State(Snapshot(), key_of("scratch"), config, args.scope(known, config.config["Env"]))

    def _from_context(self, base: Origin, known: args.Globals) -> State:
        """FROM a named context: an image, or a directory's files as the whole root."""
        found = self._session.contexts.reference(base.name)
        if isinstance(found, contextref.Image):
            image = self._bases.image(found.name, "", None)
            config = imageconfig.of_image(image.document)
            snapshot, key = self._bases.snapshot(image)
            return State(snapshot, key, config, args.scope(known, config.config.get("Env") or ()))
        if isinstance(found, contextref.OciLayout):
            image = self._bases.layout(found)
            config = imageconfig.of_image(image.document)
            snapshot, key = self._bases.snapshot(image)
            return State(snapshot, key, config, args.scope(known, config.config.get("Env") or ()))
        raise InvalidParameter(f"context {base.name}: a directory cannot be what a stage starts FROM")

    def _origin(self, origin: Origin, graph: StageGraph) -> State:
        """What a COPY --from or a mount's `from` names, as a state; waits for a stage that is still being built."""
        if origin.kind == "stage":
            return self._futures[origin.stage].result()
        if origin.kind == "image":
            image = self._bases.image(origin.name, "", graph)
        elif origin.kind == "context":
            found = self._session.contexts.reference(origin.name)
            if isinstance(found, contextref.OciLayout):
                image = self._bases.layout(found)
            elif isinstance(found, contextref.Image):
                image = self._bases.image(found.name, "", None)
            else:
                raise InvalidParameter(f"context {origin.name}: {found} cannot be copied from")
        else:
            return State(Snapshot(), key_of("scratch"), imageconfig.empty(self._platform.architecture), None)  # type: ignore[arg-type]
        self._bases.unpack(image)
        snapshot, key = self._bases.snapshot(image)
        return State(snapshot, key, imageconfig.of_image(image.document), None)  # type: ignore[arg-type]

    @staticmethod
    def _guarded(vertex: Vertex, action: Any) -> Any:
        try:
            return action()
        except EngineError as error:
            vertex.failed(error.message)
            raise

    def _explain(self, error: EngineError) -> None:
        """Put the lines around the failure into its fields."""
        line = int(error.fields.get("line") or 0)
        if not line:
            return
        lines = self._text.split("\n")
        end = min(int(error.fields.get("end_line") or line), len(lines))
        first, last = excerpt(line, end, len(lines))
        error.fields.setdefault("file", self._session.contexts.dockerfile_name)
        error.fields["source"] = [
            [number, lines[number - 1], line <= number <= end] for number in range(first, last + 1)
        ]


def excerpt(line: int, end: int, count: int) -> tuple[int, int]:
    """First and last line to show around `line` to `end` of `count` lines: as many as BuildKit's client shows."""
    first, last = line, end
    steps = 0
    while steps < (4 if line == end else 2):
        if first > 1:
            first -= 1
            steps += 1
        if last != count:
            last += 1
            steps += 1
        steps += 1
    return first, last


def _text(platform: platforms.Platform) -> str:
    return "/".join(part for part in platform if part)
