"""Run a command in a running container of a service, its streams connected to ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.model.record import Record
from compose.usecases import containers
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.client.client import Client

DETACHED = "read escape sequence"
"""Docker's word for it, on standard error and with exit code 1."""
NOT_EXECUTABLE = frozenset({126, 127})
EXEC_FAILED = 126
"""Docker's answer to any command that `exec` cannot start, also one that is not found."""


class ExecRequest(Record):
    """Options of `exec`. `environment` holds `KEY=value`; `size` is rows and columns of the terminal."""

    service: str
    command: tuple[str, ...]
    index: int = 0
    environment: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    tty: bool = False
    detach_keys: bytes = b""
    """As runtime.client.detachkeys has them."""
    detach: bool = False
    interactive: bool = True
    size: tuple[int, int] | None = None


def execute(client: Client, project: str, request: ExecRequest, *, stdin: int, stdout: int, stderr: int) -> int:
    """The process's exit code; 126 (as ComposeError) if the command cannot be run.

    Raises ComposeError if the service does not run or the user left with the detach keys, EngineError for what the engine refuses.
    """
    from runtime.client import attach

    container = containers.specified(client, project, request.service, request.index)
    stream = client.exec(container["Id"], body(request))
    try:
        if request.detach:
            return attach.run(stream, stdin=None, stdout=stdout, stderr=stderr, tty=False, until_started=True)
        given = stdin if request.interactive else None
        return attach.run(
            stream, stdin=given, stdout=stdout, stderr=stderr, tty=request.tty, detach_keys=request.detach_keys
        )
    except attach.Detached:
        raise ComposeError(DETACHED) from None
    except EngineError as error:
        if error.fields.get("exit_code") in NOT_EXECUTABLE:
            raise ComposeError(error.message, exit_code=EXEC_FAILED) from error
        raise


def body(request: ExecRequest) -> dict[str, Any]:
    """The request as the engine takes it."""
    data: dict[str, Any] = {
        "Cmd": list(request.command),
        "Env": list(request.environment),
        "User": request.user,
        "WorkingDir": request.working_dir,
        "Tty": request.tty,
        "AttachStdin": request.interactive and not request.detach,
        "Privileged": request.privileged,
        "Detach": request.detach,
    }
    if request.size is not None:
        data["ConsoleSize"] = list(request.size)
    return data


def resolve_environment(said: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """`KEY=value` as it is; a bare `KEY` takes its value from `known`, and is left out if there is none."""
    found = []
    for each in said:
        if "=" in each:
            found.append(each)
        elif each in known:
            found.append(f"{each}={known[each]}")
    return tuple(found)
