"""What a Dockerfile makes of an empty image's configuration, with our front end alone: no file is made, no RUN is run."""

from __future__ import annotations

import posixpath
from typing import Any

from runtime.build.dockerfile import model
from runtime.build.dockerfile.args import Scope, global_args, scope
from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.stages import plan

PLATFORM = "linux/amd64"


def evaluate(dockerfile: str | bytes, args: dict[str, str] | None = None, target: str = "") -> dict[str, Any]:
    """The configuration of the target stage, in the image's own terms. Raises DockerfileError."""
    known = global_args(parse(dockerfile), args or {}, PLATFORM, PLATFORM, target)
    graph = plan(known, target)
    configs: dict[int, dict[str, Any]] = {}
    scopes: dict[int, Scope] = {}
    for index, node in graph.nodes.items():
        parent = node.base.stage
        config = dict(configs.get(parent, {"WorkingDir": "/", "Cmd": None, "Shell": None}))
        config["OnBuild"] = []
        config["own_cmd"] = False
        here = scopes[index] = scope(known, (), scopes.get(parent))
        for item in node.instructions:
            _apply(config, here.evaluate(item))
        config["Env"] = [f"{name}={value}" for name, value in here.image.items()]
        configs[index] = config
    return configs[graph.target]


def _command(command: model.Command, config: dict[str, Any]) -> list[str]:
    if isinstance(command, model.Exec):
        return list(command.args)
    return [*(config["Shell"] or ["/bin/sh", "-c"]), command.line]


def _apply(config: dict[str, Any], item: model.Instruction) -> None:
    match item:
        case model.Label():
            config["Labels"] = {**config.get("Labels", {}), **dict(item.pairs)}
        case model.Cmd():
            config["Cmd"] = _command(item.command, config)
            config["own_cmd"] = True
        case model.Entrypoint():
            config["Entrypoint"] = _command(item.command, config) or None
            if not config.get("own_cmd"):
                config["Cmd"] = None
        case model.ShellInstruction():
            config["Shell"] = list(item.shell)
        case model.Expose():
            config["ExposedPorts"] = {**config.get("ExposedPorts", {}), **dict.fromkeys(item.ports)}
        case model.Volume():
            config["Volumes"] = {**config.get("Volumes", {}), **dict.fromkeys(item.paths)}
        case model.User():
            config["User"] = item.user
        case model.Workdir():
            config["WorkingDir"] = posixpath.normpath(posixpath.join(config["WorkingDir"], item.path))
        case model.StopSignal():
            config["StopSignal"] = item.signal
        case model.OnBuild():
            config["OnBuild"] = [*config["OnBuild"], item.trigger]
        case model.HealthCheck():
            config["Healthcheck"] = {
                name: value
                for name, value in {
                    "Test": list(item.test),
                    "Interval": item.interval,
                    "Timeout": item.timeout,
                    "StartPeriod": item.start_period,
                    "StartInterval": item.start_interval,
                    "Retries": item.retries,
                }.items()
                if value
            }
        case _:
            pass
