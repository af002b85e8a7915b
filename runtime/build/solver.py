"""Build an image: parse the Dockerfile, build its target for each platform, write the result.

A failure is told with its place in the Dockerfile; what was finished by then stays in the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.build import bases, caches, export
from runtime.build.dockerfile.parser import parse
from runtime.build.target import Target, side_by_side
from runtime.errors import EngineError

if TYPE_CHECKING:
    from runtime.build.dockerfile.model import Dockerfile
    from runtime.build.export import Result
    from runtime.build.progress import Vertex
    from runtime.build.session import Session


class Solver:
    """One build. `solve` is called once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._bases = bases.Bases(session)
        self._dockerfile: Dockerfile | None = None
        self._text = ""

    def solve(self) -> Result:
        """Build the target stage and export it. Raises EngineError.

        An error that belongs to a line has `file`, `line`, `end_line` and `source` (numbered lines) in its fields.
        """
        try:
            return self._solve()
        except EngineError as error:
            self._explain(error)
            raise

    def _solve(self) -> Result:
        session = self._session
        vertex = session.progress.vertex("[internal] load build definition from " + self._name())
        data = self._guarded(vertex, lambda: session.contexts.load(vertex))
        self._text = data.decode("utf-8", "replace")
        self._dockerfile = parse(data, session.contexts.dockerfile_name)
        vertex.done()
        request = session.request
        targets = [Target(session, self._bases, self._dockerfile, platform) for platform in request.platforms]
        if request.check:
            targets[0].plan()
            self._warn()
            return export.Result(None)
        for target in targets:
            target.load()
        self._load_ignore_rules()
        caches.take(session, self._bases)
        built = side_by_side(session, targets)
        self._warn()
        return export.export(session, built)

    def _warn(self) -> None:
        for warning in self._dockerfile.warnings if self._dockerfile is not None else ():
            self._session.progress.warning(warning.rule, warning.message, warning.line)

    def _name(self) -> str:
        return (self._session.request.dockerfile or "Dockerfile").rpartition("/")[2]

    def _load_ignore_rules(self) -> None:
        session = self._session
        vertex = session.progress.vertex("[internal] load .dockerignore")
        self._guarded(vertex, lambda: session.contexts.tree("", vertex))
        vertex.done()

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
