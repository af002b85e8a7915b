"""The engine itself: version, status, log, stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.engine import usage
from runtime.errors import Conflict
from runtime.version import PROTOCOL, VERSION

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine

LOG_READ = 1 << 20
"""Bytes read from the end of the engine's log at most."""


async def version(engine: Engine, request: Request) -> None:
    await request.reply(_version(engine))


async def status(engine: Engine, request: Request) -> None:
    containers = list(engine.containers.values())
    await request.reply(
        {
            **_version(engine),
            "Containers": {"running": sum(item.running for item in containers), "total": len(containers)},
            "Networks": len(engine.networks.records),
            "Volumes": len(engine.volumes.list()),
            "Images": len(engine.list_images()),
            "Zygote": engine.zygote.pid,
            "Quarantined": engine.store.quarantined,
            "Steps": engine.steps.totals,
        }
    )


async def stop(engine: Engine, request: Request) -> None:
    """Stop the engine: refused while containers run unless they shall be stopped too, or handed over."""
    body = request.json()
    running = sorted(
        item.record.name for item in engine.containers.values() if item.record.status != "exited" and item.active
    )
    handover = bool(body.get("handover"))
    if running and not handover and not body.get("containers"):
        names = ", ".join(running[:5]) + (f" and {len(running) - 5} more" if len(running) > 5 else "")
        raise Conflict(f"{len(running)} containers need the engine ({names}): stop them first or use --containers")
    await request.reply({"Stopping": True, "Containers": running})
    engine.shutdown(containers=bool(body.get("containers")), handover=handover, resume=bool(body.get("resume")))


async def disk_usage(engine: Engine, request: Request) -> None:
    """What images, containers and volumes take on disk."""
    await request.reply(await usage.disk_usage(engine))


async def logs(engine: Engine, request: Request) -> None:
    tail = request.text("tail", "all")
    try:
        with open(engine.paths.engine_log, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - LOG_READ))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        text = ""
    if tail.isdecimal():
        lines = text.splitlines(keepends=True)
        text = "".join(lines[-int(tail) :]) if int(tail) else ""
    await request.reply_text(text)


def _version(engine: Engine) -> dict[str, object]:
    return {
        "Version": VERSION,
        "Protocol": PROTOCOL,
        "Pid": os.getpid(),
        "Root": engine.paths.root,
        "Run": engine.paths.run,
        "StartedAt": engine.started_at,
    }
