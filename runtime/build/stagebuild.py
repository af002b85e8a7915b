"""Build one stage: its instructions in order, each turned into a change of the configuration or a step with a cache key.

A step's key is that of the state before it and of all that its own result depends on, never of times or of names that
stand for the same thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.build import copystep, emulation, imageconfig, runmounts, runstep
from runtime.build.dockerfile.model import Add, ArgInstruction, Copy, Run, Workdir
from runtime.build.session import Made, Stepped, key_of
from runtime.errors import EngineError, Forbidden, SystemFailure
from runtime.images import platform as platforms

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.build.dockerfile.args import Scope
    from runtime.build.dockerfile.model import Instruction
    from runtime.build.dockerfile.stages import Node, Origin
    from runtime.build.imageconfig import ImageConfig
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.build.snapshots import Snapshot

COUNTED = (Run, Copy, Add, Workdir)
"""Instructions that change files: they have numbers."""


class State:
    """A stage under construction, and when it is finished what others start from or copy from."""

    def __init__(self, snapshot: Snapshot, key: str, image: ImageConfig, scope: Scope) -> None:
        self.snapshot = snapshot
        self.key = key
        self.image = image
        self.scope = scope


class StageBuilder:
    """Builds one stage. `origin` finds another state by what a `from` means; `name` is what its steps are called after."""

    def __init__(
        self,
        session: Session,
        node: Node,
        state: State,
        *,
        name: str,
        platform: str,
        origin: Callable[[Origin], State],
        counted_base: bool,
        use_cache: bool,
    ) -> None:
        self.session = session
        self.node = node
        self.state = state
        self.origin = origin
        self.use_cache = use_cache
        self.label = " ".join(filter(None, (platform, name))) + (" " if platform or name else "")
        """What comes before the number of each step."""
        self._done = int(counted_base)
        self._total = self._done + sum(isinstance(item, COUNTED) for item in node.instructions)
        self._facts: Any = None

    def build(self) -> State:
        """All instructions. Raises EngineError with the place in the Dockerfile in its fields."""
        for item in self.node.instructions:
            self.session.check()
            try:
                self._instruction(item)
            except EngineError as error:
                _place(error, item)
                raise
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                failure = SystemFailure(f"{where}{(error.strerror or str(error)).lower()}", errno=error.errno)
                _place(failure, item)
                raise failure from error
        return self.state

    def prefix(self, text: str, *, number: int | None = None) -> str:
        """`[build 2/4] RUN make`."""
        if number is None:
            self._done += 1
            number = self._done
        return f"[{self.label}{number:>{len(str(self._total))}}/{self._total}] {text}"

    def _instruction(self, item: Instruction) -> None:
        state = self.state
        item = state.scope.evaluate(item)
        if isinstance(item, ArgInstruction):
            declared = state.scope.declared(item)
            words = [name if value is None else f"{name}={value}" for name, value in declared]
            state.image.note(f"ARG {' '.join(words)}", layer=False)
        elif isinstance(item, Run):
            self._run(item)
        elif isinstance(item, (Copy, Add)):
            self._copy(item)
        elif isinstance(item, Workdir):
            self._workdir(item)
        else:
            state.image.apply(item)

    def _advance(self, stepped: Stepped, key: str, text: str, *, marked: bool) -> None:
        state = self.state
        state.snapshot = state.snapshot.on_top(stepped.layer)
        state.key = key
        state.image.steps.append(key)
        state.image.note(text, layer=True, state=marked, created=stepped.created)

    # --- WORKDIR -------------------------------------------------------------------------------------------------

    def _workdir(self, item: Workdir) -> None:
        state = self.state
        path = imageconfig.workdir(state.image, item)
        name = self.prefix(f"WORKDIR {item.path}")
        if path == "/":
            state.image.note(f"WORKDIR {path}", layer=False)
            return
        user = str(state.image.config.get("User") or "")
        key = key_of("workdir", state.key, path, user, str(self.session.request.epoch or ""))

        def execute(place: str, _vertex: Vertex) -> Made:
            copystep.make_directory(self.session, state.snapshot, place, path, user)
            return Made()

        stepped = self.session.step(name, key, state.snapshot, execute, use_cache=self.use_cache)
        self._advance(stepped, key, f"WORKDIR {path}", marked=False)

    # --- RUN -----------------------------------------------------------------------------------------------------

    def _run(self, item: Run) -> None:
        state, session = self.state, self.session
        command = self._command(item)
        name = self.prefix(_shown(item))
        mounts = runmounts.Mounts(session, item.mounts, command.cwd, self._tree_of)
        digests = session.before(name, mounts.digests) if item.mounts else mounts.digests()
        parts = runstep.key_parts(command, item.mounts, digests, session.request)
        # part of the key: on another platform it is another command, even where all files are equal
        platform = platforms.of_config(state.image.document)
        key = key_of(state.key, *parts, str(platform or ""), str(session.request.epoch or ""))

        def execute(place: str, vertex: Vertex) -> Made:
            emulation.check(state.image.document)  # here: a result that is known needs no emulator
            runmounts.run(session, state.snapshot, place, command, mounts, vertex)
            return Made()

        stepped = session.step(name, key, state.snapshot, execute, use_cache=self.use_cache)
        text = imageconfig.run_text(command.argv, state.scope.run_arguments())
        self._advance(stepped, key, text, marked=True)

    def _command(self, item: Run) -> runstep.Command:
        state = self.state
        network = item.network or self.session.request.network
        if item.security == "insecure" and not self.session.request.privileged:
            raise Forbidden("security.insecure is not allowed: build with --allow security.insecure")
        script = item.script
        if script is None:
            argv = imageconfig.argv(item.command, state.image.shell)
        elif script.content.startswith("#!"):
            argv = [*state.image.shell, runmounts.script_path(script.name)]
        else:
            argv = [*state.image.shell, script.content]
        return runstep.Command(
            argv=argv,
            env=[f"{name}={value}" for name, value in state.scope.environment.items()],
            user=str(state.image.config.get("User") or ""),
            cwd=str(state.image.config.get("WorkingDir") or "/"),
            network=network,
            insecure=item.security == "insecure",
            script=script if script is not None and script.content.startswith("#!") else None,
        )

    # --- COPY and ADD --------------------------------------------------------------------------------------------

    def _copy(self, item: Copy | Add) -> None:
        state, session = self.state, self.session
        name = self.prefix(_shown(item))
        planned = session.before(name, lambda: copystep.plan(session, item, state.image, self._tree_of))
        key = key_of("copy", state.key, *planned.key_parts(), str(session.request.epoch or ""))

        def execute(place: str, vertex: Vertex) -> Made:
            return planned.execute(state.snapshot, place, lambda text: vertex.log(f"{text}\n".encode()))

        stepped = session.step(name, key, state.snapshot, execute, use_cache=self.use_cache)
        self._advance(stepped, key, planned.history(), marked=True)

    def _tree_of(self, name: str) -> copystep.Source:
        session = self.session
        origin = self.node.origins[name] if name else None
        if origin is None:
            return copystep.Source(session, lambda: session.contexts.tree(""), "")
        if origin.kind == "context" and session.contexts.is_directory(origin.name):
            return copystep.Source(session, lambda: session.contexts.tree(origin.name), "")
        state = self.origin(origin)
        return copystep.Source(session, lambda: copystep.tree_of(session, state.snapshot, origin.name), state.key)


def _place(error: EngineError, item: Instruction) -> None:
    error.fields.setdefault("line", item.position.line)
    error.fields.setdefault("end_line", item.position.end_line)


def _shown(item: Instruction) -> str:
    """An instruction on one line, as progress has it."""
    lines = [line.strip() for line in item.position.text.splitlines()]
    kept = [line.removesuffix("\\").rstrip() for line in lines if line and not line.startswith("#")]
    if isinstance(item, (Copy, Add)) and item.heredocs:
        text = kept[0]
    elif isinstance(item, Run) and item.heredocs:
        more = len(kept) > 2
        text = f"{kept[0]} ({kept[1]}{'...' if more else ''})" if len(kept) > 1 else kept[0]
    else:
        text = " ".join(kept)
    word, _, rest = text.partition(" ")
    return f"{word.upper()} {rest.strip()}"
