"""`pycompose events`: print what happens to a project's containers."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

HIDDEN = "com.docker.compose."
SERVICE = "com.docker.compose.service"
ONEOFF = "com.docker.compose.oneoff"


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    json: Annotated[bool, typer.Option("--json", help="Output events as a stream of json objects")] = False,
    since: Annotated[str, typer.Option(help="Show all events created since timestamp")] = "",
    until: Annotated[str, typer.Option(help="Stream events until this timestamp")] = "",
) -> int:
    """Receive real time events from containers"""
    from compose.cli.moments import moment
    from compose.usecases import projects

    now = time.time()
    begin, end = moment(since, now), moment(until, now)
    invocation = Invocation.of(ctx)
    name = projects.project_name(invocation.request())
    for event in invocation.client().events(name, since=begin, until=end):
        attributes = event.get("attributes") or {}
        service = attributes.get(SERVICE, "")
        if event.get("type") != "container" or attributes.get(ONEOFF) == "True":
            continue
        if services and service not in services:
            continue
        invocation.console.write(_json(event, service) if json else text(event))
        invocation.console.stdout.flush()
    return 0


def text(event: dict[str, Any]) -> str:
    """An event as a line of text and an empty one, as Compose prints it."""
    shown = ", ".join(f"{key}={value}" for key, value in _attributes(event).items())
    head, _, fraction = str(event["time"]).removesuffix("Z").partition(".")
    time = f"{head.replace('T', ' ')}.{fraction[:6]:0<6}"
    return f"{time} container {event['action']} {event['id']} ({shown})\n\n"


def _json(event: dict[str, Any], service: str) -> str:
    from compose.cli.render.gotemplate import to_json

    data = {
        "action": event["action"],
        "attributes": _attributes(event),
        "id": event["id"],
        "service": service,
        "time": event["time"],
        "type": "container",
    }
    return to_json(data) + "\n"


def _attributes(event: dict[str, Any]) -> dict[str, str]:
    found = {"name": str(event.get("name", "")), **(event.get("attributes") or {})}
    return {key: str(value) for key, value in sorted(found.items()) if not key.startswith(HIDDEN)}
