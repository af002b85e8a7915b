"""Decide which stages a target needs and what every `from` in them means: a stage, a named context, or an image.

FROM sees the stages above it only. COPY --from sees all names and numbers, RUN --mount all names, and what they find below
themselves is an error, not an image. What nobody needs is not built, but a cycle is an error wherever it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from runtime.build.dockerfile.model import Copy, Instruction, OnBuild, Run, Stage
from runtime.build.dockerfile.parser import parse_trigger
from runtime.build.dockerfile.problem import DockerfileError, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from runtime.build.dockerfile.args import Globals

_INDEX = re.compile(r"[+-]?[0-9]{1,9}\Z")
_NEVER_CONTEXTS = frozenset({"scratch", "context"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files come from: stage number `stage`, or the context or image `name`; nothing at all for scratch."""

    kind: Literal["stage", "context", "image", "scratch"]
    name: str = ""
    stage: int = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A stage to be built. `instructions` begins with the ONBUILD triggers that its base brought.

    `origins` has every name that a COPY --from or a RUN --mount of it uses; `needs` the stages that must be ready before.
    Where a named context stands in for the stage, `base` is that context and there are no instructions.
    """

    stage: Stage
    base: Origin
    platform: str
    instructions: tuple[Instruction, ...]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    needs: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class StageGraph:
    """What to build for `target`: the needed stages by number; in rising order every stage comes after its needs."""

    target: int
    nodes: Mapping[int, Node]
    names: tuple[str, ...]

    def near(self, name: str) -> str:
        """` (did you mean X?)` for an image that nobody has and that looks like the name of a stage."""
        return suggestion(name, self.names)


def plan(
    known: Globals,
    target: str = "",
    contexts: Collection[str] = (),
    triggers: Mapping[int, Sequence[str]] | None = None,
) -> StageGraph:
    """The graph for a target stage ("" is the last one).

    `contexts` are the names of additional build contexts: each replaces the stage or image of its name. `triggers` are the
    ONBUILD lines of base images, by stage number; they are known only when the bases are, so plan again then. Raises
    DockerfileError: no such target, a bad base, a cycle, a stage used before it is defined.
    """
    return _Planner(known, frozenset(contexts) - _NEVER_CONTEXTS, triggers or {}).graph(target)


class _Planner:
    __slots__ = ("_contexts", "_file", "_known", "_names", "_stages", "_triggers")

    def __init__(self, known: Globals, contexts: frozenset[str], triggers: Mapping[int, Sequence[str]]) -> None:
        self._known = known
        self._contexts = contexts
        self._triggers = triggers
        self._stages = known.dockerfile.stages
        self._file = known.dockerfile.name
        self._names = {stage.name: stage.index for stage in self._stages if stage.name}

    def graph(self, target: str) -> StageGraph:
        nodes: list[Node] = []
        above: dict[str, int] = {}
        for stage in self._stages:
            nodes.append(self._node(stage, above, nodes))
            if stage.name:
                above[stage.name] = stage.index
        self._check_cycles(nodes)
        wanted = self._target(target)
        needed = self._reachable(nodes, wanted)
        for index in sorted(needed):
            self._check_order(nodes[index])
        return StageGraph(wanted, {index: nodes[index] for index in sorted(needed)}, tuple(self._names))

    def _target(self, target: str) -> int:
        if not target:
            return len(self._stages) - 1
        index = self._names.get(target.lower())
        if index is None:
            raise DockerfileError(
                f'target stage "{target}" could not be found{suggestion(target, self._names)}', file=self._file
            )
        return index

    def _node(self, stage: Stage, above: Mapping[str, int], nodes: list[Node]) -> Node:
        name, platform = self._known.base(stage)
        if stage.name in self._contexts:
            return Node(stage, Origin("context", stage.name), platform, ())
        base = self._base(name, above)
        brought = [*self._triggers.get(stage.index, ())]
        if base.kind == "stage":
            brought += [item.trigger for item in nodes[base.stage].stage.instructions if isinstance(item, OnBuild)]
        extra = tuple(parse_trigger(text, stage.position, self._file) for text in brought)
        node = Node(stage, base, platform, extra + stage.instructions)
        origins: dict[str, Origin] = {}
        for item in node.instructions:
            for reference in _references(item):
                origins[reference] = self._origin(reference, item)
        needs = {origin.stage for origin in (base, *origins.values()) if origin.kind == "stage"}
        return replace(node, origins=origins, needs=frozenset(needs))

    def _base(self, name: str, above: Mapping[str, int]) -> Origin:
        index = above.get(name)
        return self._elsewhere(name) if index is None else Origin("stage", name, index)

    def _origin(self, name: str, item: Instruction) -> Origin:
        """What a `from` names. Numbers are for COPY alone: a mount takes them for an image, as BuildKit does."""
        if isinstance(item, Copy) and _INDEX.match(name):
            if not 0 <= int(name) < len(self._stages):
                raise DockerfileError(f"invalid stage index {int(name)}", item.position.line, self._file)
            return Origin("stage", name, int(name))
        index = self._names.get(name.lower())
        return self._elsewhere(name) if index is None else Origin("stage", name, index)

    def _elsewhere(self, name: str) -> Origin:
        if name == "scratch":
            return Origin("scratch")
        for spelling in (name, _familiar(name)):
            if spelling in self._contexts:
                return Origin("context", spelling)
        return Origin("image", name)

    def _check_cycles(self, nodes: list[Node]) -> None:
        """Follows COPY and mounts; FROM cannot point down. Iterative: a file may have thousands of stages."""
        done: set[int] = set()
        for start in nodes:
            path: dict[int, None] = {}
            todo = [(start.stage.index, False)]
            while todo:
                index, leaving = todo.pop()
                if leaving:
                    del path[index]
                    done.add(index)
                    continue
                if index in path:
                    raise self._cycle(nodes, [*path][[*path].index(index) :])
                if index in done:
                    continue
                path[index] = None
                todo.append((index, True))
                inside = {origin.stage for origin in nodes[index].origins.values() if origin.kind == "stage"}
                todo.extend((other, False) for other in sorted(inside, reverse=True))

    def _cycle(self, nodes: list[Node], members: list[int]) -> DockerfileError:
        names = [self._called(index) for index in (*members, members[0])]
        line = _line_of(nodes[members[0]], (members + members)[1])
        how = f" ({' needs '.join(names)})" if len(members) > 1 else ""
        return DockerfileError(f"circular dependency detected on stage: {names[0]}{how}", line, self._file)

    def _called(self, index: int) -> str:
        return self._stages[index].name or f"stage-{index}"

    @staticmethod
    def _reachable(nodes: list[Node], target: int) -> set[int]:
        found: set[int] = set()
        todo = [target]
        while todo:
            index = todo.pop()
            if index not in found:
                found.add(index)
                todo.extend(nodes[index].needs)
        return found

    def _check_order(self, node: Node) -> None:
        for item in node.instructions:
            for reference in _references(item):
                origin = node.origins[reference]
                if origin.kind != "stage" or origin.stage < node.stage.index:
                    continue
                verb = "copy" if isinstance(item, Copy) else "mount"
                text = (
                    f'cannot {verb} from stage "{reference}", it needs to be defined before current stage'
                    f' "{self._called(node.stage.index)}"'
                )
                raise DockerfileError(text, item.position.line, self._file)


def _references(item: Instruction) -> tuple[str, ...]:
    """The names in an instruction's `from`s."""
    if isinstance(item, Copy):
        return (item.from_,) if item.from_ else ()
    if isinstance(item, Run):
        return tuple(source for source in item.mount_sources if source)
    return ()


def _line_of(node: Node, stage: int) -> int:
    """Where a node first refers to a stage."""
    for item in node.instructions:
        if any(node.origins[reference].stage == stage for reference in _references(item)):
            return item.position.line
    return node.stage.line


def _familiar(name: str) -> str:
    """An image's name as people write it: no docker.io, no library, no :latest."""
    for prefix in ("index.docker.io/", "docker.io/"):
        name = name.removeprefix(prefix)
    return name.removeprefix("library/").removesuffix(":latest")
