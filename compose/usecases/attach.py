"""Connect the caller's streams to a service's running container, its own process's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.model.record import Record
from compose.usecases import containers
from compose.usecases.exec import DETACHED

if TYPE_CHECKING:
    from runtime.client.client import Client

NO_ATTACH = {
    "paused": "cannot attach to a paused container, unpause it first",
    "restarting": "cannot attach to a restarting container, wait until it is running",
}


class AttachRequest(Record):
    """Options of `attach`; `detach_keys` as runtime.client.detachkeys has them."""

    service: str
    index: int = 0
    stdin: bool = True
    pass_signals: bool = True
    detach_keys: bytes = b""
    is_terminal: bool = False
    """Whether the caller's standard input is one."""


def attach(client: Client, project: str, request: AttachRequest, *, stdin: int, stdout: int, stderr: int) -> int:
    """The container's exit code. Raises ComposeError if it does not run or was left, EngineError."""
    from runtime.client import attach as streams

    container = containers.specified(client, project, request.service, request.index)
    refusal = NO_ATTACH.get(containers.status_of(container))
    if refusal:
        raise ComposeError(refusal)
    config = container.get("Config", {})
    tty, takes_input = bool(config.get("Tty")), request.stdin and bool(config.get("OpenStdin"))
    if tty and takes_input and not request.is_terminal:
        raise ComposeError("the input device is not a TTY")
    stream = client.attach(container["Id"], {"Stdin": takes_input})
    try:
        return streams.run(
            stream,
            stdin=stdin if takes_input else None,
            stdout=stdout,
            stderr=stderr,
            tty=tty,
            detach_keys=request.detach_keys,
            pass_signals=request.pass_signals,
        )
    except streams.Detached:
        raise ComposeError(DETACHED) from None
