"""Make images of containers, and archives of a container's or an image's files."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from compose.reconcile.plan import PlanBuilder
from compose.usecases import outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from runtime.client.client import Client
    from runtime.wire.plan import OperationKind


def commit(client: Client, container: str, args: Mapping[str, Any]) -> str:
    """The id of a new image of a container; `args` are those of CommitContainer. Raises the engine's error."""
    result = _run(client, "CommitContainer", f"container {container}", {"Container": container, **args})
    return str(result["Id"])


def export_file(client: Client, what: Mapping[str, str], path: str) -> None:
    """Write the files of `what` (`Container` or `Image`) to the archive `path` (absolute). Raises the engine's error."""
    _run(client, "ExportFiles", " ".join(what.values()), {**what, "Output": path})


def export_stream(client: Client, what: Mapping[str, str], out: BinaryIO) -> None:
    """Write the archive to a stream, which may be a pipe."""
    with tempfile.TemporaryDirectory(prefix="pycompose-export-") as place:
        path = os.path.join(place, "files.tar")
        export_file(client, what, path)
        with open(path, "rb") as file:
            shutil.copyfileobj(file, out)
        out.flush()


def _run(client: Client, kind: OperationKind, resource: str, args: Mapping[str, Any]) -> dict[str, Any]:
    builder = PlanBuilder()
    builder.add(kind, subject=resource, resource=resource, cause="asked for", args=dict(args))
    return outcomes.the_only(outcomes.submit(client, builder.build(""))).result
