"""Build the target stage for one platform: find the stages that are needed and their bases, build them side by side.

Stages wait for each other only where one copies from or starts from another. The first failure stops the rest, also those
of other platforms. Steps have their keys in common: what is the same for several platforms is done once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from runtime.build import bases, copystep, imageconfig
from runtime.build.dockerfile import args, contextref, stages
from runtime.build.dockerfile.model import Copy, Position, Run
from runtime.build.export import Built
from runtime.build.session import Canceled, Made, key_of
from runtime.build.snapshots import Snapshot
from runtime.build.stagebuild import COUNTED, StageBuilder, State
from runtime.errors import EngineError, InvalidParameter
from runtime.images import platform as platforms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from runtime.build.dockerfile.model import Dockerfile
    from runtime.build.dockerfile.stages import Node, Origin, StageGraph
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.images.records import Image

MOST_AT_ONCE: Final = 16
"""Stages that are built side by side."""


class Target:
    """The build for one platform."""

    def __init__(self, session: Session, images: bases.Bases, dockerfile: Dockerfile, platform: str) -> None:
        self._session = session
        self._bases = images
        self._dockerfile = dockerfile
        self._platform = platforms.parse(platform)
        self._given = platform
        """Empty where none was asked for."""
        self._many = len(session.request.platforms) > 1
        self._futures: dict[int, Future[State]] = {}

    def plan(self, triggers: Mapping[int, tuple[str, ...]] | None = None) -> StageGraph:
        """The stages to be built. Raises DockerfileError."""
        request = self._session.request
        local, target = str(platforms.local()), str(self._platform)
        self._known = args.global_args(self._dockerfile, request.build_args, local, target, request.target)
        return stages.plan(self._known, request.target, list(request.contexts), triggers)

    def load(self) -> None:
        """Find out what is to be built, and get the images that stages start from. Raises EngineError."""
        graph = self.plan()
        images = self._load_bases(graph)
        triggers = {
            index: tuple(image.config.get("OnBuild") or ())
            for index, image in images.items()
            if image.config.get("OnBuild")
        }
        if triggers:
            graph = self.plan(triggers)
            images |= self._load_bases(graph, skip=images)
        self._graph, self._images = graph, images
        self._session.has_runs |= any(
            isinstance(item, Run) for node in graph.nodes.values() for item in node.instructions
        )

    def build(self) -> Built:
        """Build what `load` found. Raises EngineError."""
        state = self._build(self._graph, self._known, self._images)
        others = [self._futures[index].result() for index in sorted(self._futures)] or [state]
        return Built(self._platform, state, others)

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
                found[index] = self._bases.image(origin.name, platform or self._given, graph)
            except EngineError as error:
                error.fields.setdefault("line", graph.nodes[index].stage.line)
                raise
        return found

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
            platform=self._label(node) if self._many else "",
            counted_base=counted,
            use_cache=not session.request.no_cache and not filtered,
        )
        if counted:
            total = 1 + sum(isinstance(item, COUNTED) for item in node.instructions)
            label = builder.label
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
            return self._from_context(node.base, node.platform, known)
        platform = platforms.parse(node.platform) if node.platform else self._platform
        config = imageconfig.empty(platform.architecture, platform.variant)
        return State(Snapshot(), key_of("scratch"), config, args.scope(known, config.config["Env"]))

    def _from_context(self, base: Origin, platform: str, known: args.Globals) -> State:
        """FROM a named context: an image, or a directory's files as the whole root."""
        found = self._session.contexts.reference(base.name)
        if isinstance(found, contextref.Image):
            image = self._bases.image(found.name, platform or self._given, None)
            config = imageconfig.of_image(image.document)
            snapshot, key = self._bases.snapshot(image)
            return State(snapshot, key, config, args.scope(known, config.config.get("Env") or ()))
        if isinstance(found, contextref.OciLayout):
            image = self._bases.layout(found, platform or self._given)
            config = imageconfig.of_image(image.document)
            snapshot, key = self._bases.snapshot(image)
            return State(snapshot, key, config, args.scope(known, config.config.get("Env") or ()))
        return self._from_files(base.name, platform, known)

    def _from_files(self, name: str, platform: str, known: args.Globals) -> State:
        """The files of a context as the whole root of an otherwise empty image."""
        session = self._session
        architecture = platforms.parse(platform) if platform else self._platform
        config = imageconfig.empty(architecture.architecture, architecture.variant)
        step = f"[context {name}] load from client"
        source = copystep.Source(session, lambda: session.contexts.tree(name), "")
        everything = Copy(Position(0, 0, ""), sources=("/",), destination="/")
        planned = session.before(step, lambda: copystep.plan(session, everything, config, lambda _name: source))
        key = key_of("context", *planned.key_parts(), str(session.request.epoch or ""))

        def execute(place: str, vertex: Vertex) -> Made:
            return planned.execute(Snapshot(), place, lambda text: vertex.log(f"{text}\n".encode()))

        stepped = session.step(step, key, Snapshot(), execute, use_cache=not session.request.no_cache)
        config.steps.append(key)
        config.note(step, layer=True, created=stepped.created)
        return State(Snapshot().on_top(stepped.layer), key, config, args.scope(known, config.config["Env"]))

    def _origin(self, origin: Origin, graph: StageGraph) -> State:
        """What a COPY --from or a mount's `from` names, as a state; waits for a stage that is still being built."""
        if origin.kind == "stage":
            return self._futures[origin.stage].result()
        if origin.kind == "image":
            image = self._bases.image(origin.name, self._given, graph)
        elif origin.kind == "context":
            found = self._session.contexts.reference(origin.name)
            if isinstance(found, contextref.OciLayout):
                image = self._bases.layout(found, self._given)
            elif isinstance(found, contextref.Image):
                image = self._bases.image(found.name, self._given, None)
            else:
                raise InvalidParameter(f"context {origin.name}: {found} cannot be copied from")
        else:
            return State(Snapshot(), key_of("scratch"), imageconfig.empty(self._platform.architecture), None)  # type: ignore[arg-type]
        self._bases.unpack(image)
        snapshot, key = self._bases.snapshot(image)
        return State(snapshot, key, imageconfig.of_image(image.document), None)  # type: ignore[arg-type]

    def _label(self, node: Node) -> str:
        """The platform of a stage, and that of the result where it is another one."""
        own = platforms.parse(node.platform) if node.platform else self._platform
        return f"{own}" if own.architecture == self._platform.architecture else f"{own}->{self._platform.architecture}"


def side_by_side(session: Session, targets: list[Target]) -> list[Built]:
    """Build for all platforms; steps that they have in common are done once. The first failure stops the rest."""
    if len(targets) == 1:
        return [targets[0].build()]
    with ThreadPoolExecutor(len(targets), thread_name_prefix="platform") as pool:
        futures = [pool.submit(target.build) for target in targets]
        failures = [error for future in futures if (error := future.exception()) is not None]
    for error in sorted(failures, key=lambda each: isinstance(each, Canceled)):
        raise error
    return [future.result() for future in futures]
