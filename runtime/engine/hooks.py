"""Lifecycle hooks: a command in a running container whose exit code and output the plan wants.

A hook is an exec session like any other; here the engine itself is the client of the shim's attach socket.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from runtime.engine import shimlink
from runtime.errors import Conflict, SystemFailure, from_wire
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

MAX_OUTPUT = 64 << 10
"""Bytes of a hook's output that are kept."""
READ_SIZE = 1 << 16


async def run_hook(engine: Engine, container: Container, args: dict[str, Any]) -> dict[str, Any]:
    """Run it to its end: `ExitCode` and `Output`. Raises Conflict if the container does not run."""
    if not container.running:
        raise Conflict(f"container {container.record.name} is not running")
    process = engine.exec_process(
        container,
        {
            "Cmd": args["Command"],
            "Env": args.get("Environment") or [],
            "User": args.get("User") or "",
            "WorkingDir": args.get("WorkingDir") or "",
            "Privileged": bool(args.get("Privileged")),
        },
    )
    sock = shimlink.client_stream(engine.paths.shim_socket(container.record.id))
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    start = {"exec": {"id": os.urandom(16).hex(), "process": process, "tty": False, "stdin": False, "detach": False}}
    try:
        writer.write(frames.encode(frames.START, json.dumps(start).encode()))
        await writer.drain()
        return await _collect(reader, container)
    finally:
        writer.close()


async def _collect(reader: asyncio.StreamReader, container: Container) -> dict[str, Any]:
    decoder, output = frames.Decoder(), bytearray()
    while data := await reader.read(READ_SIZE):
        for kind, payload in decoder.feed(data):
            if kind in {frames.STDOUT, frames.STDERR} and len(output) < MAX_OUTPUT:
                output += payload[: MAX_OUTPUT - len(output)]
            elif kind == frames.EXIT:
                return {"ExitCode": int(json.loads(payload)["ExitCode"]), "Output": output.decode("utf-8", "replace")}
            elif kind == frames.ERROR:
                raise from_wire(json.loads(payload))
    raise SystemFailure(f"container {container.record.name}: the hook's shim went away")
