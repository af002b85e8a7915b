"""What each operation of a plan does: a table of kind → coroutine, each idempotent.

Every operation looks again whether its precondition still holds when it runs, and says `unchanged` where there is
nothing to do: a plan may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from runtime.engine import commits
from runtime.engine.builds import build
from runtime.engine.waits import wait_for
from runtime.errors import NotFound, SystemFailure
from runtime.linux import signalnames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.engine.engine import Engine


Args = dict[str, Any]


class Voice(Protocol):
    """What an operation may say while it runs."""

    def __call__(self, text: str, /) -> None:
        """What it waits for."""

    def progress(self, part: str, text: str, current: int = 0, total: int = 0) -> None:
        """How far one of its parts is."""

    def warn(self, text: str) -> None:
        """What it does not get though it goes on."""

    def vertex(self, event: dict[str, Any], /) -> None:
        """What a step of a build does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an operation went: `changed` is False where the state was there already."""

    changed: bool = True
    text: str = ""
    result: dict[str, Any] = field(default_factory=dict)


async def create_network(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    record, created = await engine.networks.create(args)
    return Outcome(changed=created, result={"Id": record.id})


async def remove_network(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    try:
        await engine.networks.remove(args["Name"])
    except NotFound:
        return Outcome(changed=False)
    return Outcome()


async def connect_network(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    container = engine.container(args["Container"])
    await engine.sandboxes.connect(container, args["Network"], args.get("EndpointConfig") or {})
    return Outcome()


async def disconnect_network(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    container = engine.container(args["Container"])
    return Outcome(changed=await engine.sandboxes.disconnect(container, args["Network"]))


async def create_volume(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    name, created = engine.create_volume(args)
    return Outcome(changed=created, result={"Name": name})


async def remove_volume(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    try:
        engine.remove_volume(args["Name"])
    except NotFound:
        return Outcome(changed=False)
    return Outcome()


async def create_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    container, created = await engine.create_container(args)
    return Outcome(changed=created, result={"Id": container.record.id})


async def start_container(engine: Engine, args: Args, voice: Voice) -> Outcome:
    container = engine.container(args["Container"])
    if container.record.status == "paused":
        return Outcome(changed=await container.unpause())
    changed = await container.start()
    for text in container.run.warnings if changed and container.run is not None else ():
        voice.warn(text)
    return Outcome(changed=changed)


async def stop_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    try:
        container = engine.container(args["Container"])
    except NotFound:
        return Outcome(changed=False)
    signal = signalnames.number(args["Signal"]) if args.get("Signal") else None
    grace = args.get("Timeout")
    seconds = None if grace is None else float(grace)
    return Outcome(changed=await container.stop(signal, seconds, keep_sandbox=bool(args.get("Restart"))))


async def kill_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    await engine.container(args["Container"]).kill(signalnames.number(args.get("Signal") or "SIGKILL"))
    return Outcome()


async def pause_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    return Outcome(changed=await engine.container(args["Container"]).pause())


async def unpause_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    return Outcome(changed=await engine.container(args["Container"]).unpause())


async def remove_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    try:
        container = engine.container(args["Container"])
        await container.remove(force=bool(args.get("Force")), volumes=bool(args.get("Volumes")))
    except NotFound:
        return Outcome(changed=False)
    return Outcome()


async def rename_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    container = engine.container(args["Container"])
    if container.record.name == args["Name"]:
        return Outcome(changed=False)
    await engine.rename_container(container, args["Name"])
    return Outcome()


async def wait_container(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    text, exit_code = await wait_for(engine, args, waiting)
    return Outcome(text=text, result={} if exit_code is None else {"ExitCode": exit_code})


async def run_hook(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    container = engine.container(args["Container"])
    result = await engine.run_hook(container, args)
    if result["ExitCode"] != 0:
        raise SystemFailure(
            f"{args.get('Hook', 'hook')} hook of container {container.record.name} exited with "
            f"status {result['ExitCode']}: {result['Output'].strip()[:500]}",
            exit_code=result["ExitCode"],
        )
    return Outcome(result=result)


async def remove_image(engine: Engine, args: Args, waiting: Callable[[str], None]) -> Outcome:
    try:
        report = engine.remove_image(args["Image"], force=bool(args.get("Force")))
    except NotFound as error:
        return Outcome(changed=False, result={"Missing": error.message})
    return Outcome(result={"Report": report})


def _silent(*_event: Any) -> None:
    pass


async def push_image(engine: Engine, args: Args, voice: Voice) -> Outcome:
    result = await engine.registry.push(args, _silent if args.get("Quiet") else voice.progress)
    return Outcome(result=result)


async def pull_image(engine: Engine, args: Args, voice: Voice) -> Outcome:
    if args.get("Policy") == "missing" and engine.registry.has(args["Reference"], args.get("Platform") or ""):
        return Outcome(changed=False)
    result = await engine.registry.pull(args, _silent if args.get("Quiet") else voice.progress)
    return Outcome(changed=result.pop("Changed"), result=result)


async def commit_container(engine: Engine, args: Args, voice: Voice) -> Outcome:
    return Outcome(result=await commits.commit(engine, args))


async def export_files(engine: Engine, args: Args, voice: Voice) -> Outcome:
    return Outcome(result=await commits.export(engine, args))


async def build_image(engine: Engine, args: Args, voice: Voice) -> Outcome:
    return Outcome(result=await build(engine, args, voice.vertex))


OPERATIONS: dict[str, Callable[[Engine, Args, Voice], Awaitable[Outcome]]] = {
    "CreateNetwork": create_network,
    "RemoveNetwork": remove_network,
    "ConnectNetwork": connect_network,
    "DisconnectNetwork": disconnect_network,
    "CreateVolume": create_volume,
    "RemoveVolume": remove_volume,
    "CreateContainer": create_container,
    "StartContainer": start_container,
    "StopContainer": stop_container,
    "KillContainer": kill_container,
    "PauseContainer": pause_container,
    "UnpauseContainer": unpause_container,
    "RemoveContainer": remove_container,
    "RenameContainer": rename_container,
    "WaitContainer": wait_container,
    "RunHook": run_hook,
    "RemoveImage": remove_image,
    "PullImage": pull_image,
    "PushImage": push_image,
    "BuildImage": build_image,
    "CommitContainer": commit_container,
    "ExportFiles": export_files,
}
