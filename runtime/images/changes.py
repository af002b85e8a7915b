"""Apply Dockerfile instructions to an image configuration: what `import --change` and `commit --change` take."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_UNITS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_HEALTH_FLAGS: Final = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
}
_PORT: Final = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")


def apply(config: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """A copy of the image config (Env, Cmd, ...) with `changes` such as `CMD ["sh"]` applied in order.

    Raises InvalidParameter naming the instruction.
    """
    changed: dict[str, Any] = json.loads(json.dumps(config))
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        instruction = _INSTRUCTIONS.get(word.upper())
        if instruction is None:
            raise InvalidParameter(f"change {word!r}: not one of {', '.join(sorted(_INSTRUCTIONS))}")
        if not rest.strip():
            raise InvalidParameter(f"change {word.upper()}: an argument is missing")
        instruction(changed, rest.strip())
    return changed


def _command(text: str) -> list[str]:
    """The JSON form as it stands, anything else through the shell."""
    listed = _json_list(text)
    return ["/bin/sh", "-c", text] if listed is None else listed


def _json_list(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _pairs(text: str, instruction: str) -> list[tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidParameter(f"change {instruction}: {str(error).lower()}") from error
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidParameter(f"change {instruction}: must have two arguments")
        return [(key, value.strip())]
    pairs = [word.partition("=") for word in words]
    if not all(key and equals for key, equals, _ in pairs):
        raise InvalidParameter(f"change {instruction}: syntax error, must be key=value: {text!r}")
    return [(key, value) for key, _, value in pairs]


def _cmd(config: dict[str, Any], text: str) -> None:
    config["Cmd"] = _command(text)


def _entrypoint(config: dict[str, Any], text: str) -> None:
    config["Entrypoint"] = _command(text)


def _env(config: dict[str, Any], text: str) -> None:
    merged = dict(item.partition("=")[::2] for item in config.get("Env") or ())
    merged.update(_pairs(text, "ENV"))
    config["Env"] = [f"{key}={value}" for key, value in merged.items()]


def _label(config: dict[str, Any], text: str) -> None:
    config["Labels"] = dict(config.get("Labels") or {}) | dict(_pairs(text, "LABEL"))


def _workdir(config: dict[str, Any], text: str) -> None:
    path = os.path.normpath(os.path.join(config.get("WorkingDir") or "/", text))
    config["WorkingDir"] = "/" + path.lstrip("/")


def _user(config: dict[str, Any], text: str) -> None:
    config["User"] = text


def _expose(config: dict[str, Any], text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in text.split():
        match = _PORT.fullmatch(word.lower())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if match is None or not 0 < first <= last <= 65535:
            raise InvalidParameter(f"change EXPOSE: invalid port {word!r}")
        ports.update({f"{port}/{match[3] or 'tcp'}": {} for port in range(first, last + 1)})
    config["ExposedPorts"] = ports


def _volume(config: dict[str, Any], text: str) -> None:
    paths = _json_list(text)
    config["Volumes"] = dict(config.get("Volumes") or {}) | {path: {} for path in (paths or text.split())}


def _stopsignal(config: dict[str, Any], text: str) -> None:
    config["StopSignal"] = text


def _onbuild(config: dict[str, Any], text: str) -> None:
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _healthcheck(config: dict[str, Any], text: str) -> None:
    health: dict[str, Any] = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag.partition("=")
        text = text.strip()
        if name == "--retries" and value.isdigit():
            health["Retries"] = int(value)
        elif name in _HEALTH_FLAGS:
            health[_HEALTH_FLAGS[name]] = _nanoseconds(value)
        else:
            raise InvalidParameter(f"change HEALTHCHECK: invalid flag {flag!r}")
    word, _, rest = text.partition(" ")
    if word.upper() == "NONE":
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if word.upper() != "CMD" or not rest.strip():
        raise InvalidParameter("change HEALTHCHECK: CMD or NONE is missing")
    listed = _json_list(rest.strip())
    health["Test"] = ["CMD-SHELL", rest.strip()] if listed is None else ["CMD", *listed]
    config["Healthcheck"] = health


def _nanoseconds(text: str) -> int:
    if not _DURATION.fullmatch(text):
        raise InvalidParameter(f"change HEALTHCHECK: invalid duration {text!r} (units: ns us ms s m h)")
    return sum(int(float(number) * _UNITS[unit]) for number, unit in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text))


_INSTRUCTIONS: Final[dict[str, Callable[[dict[str, Any], str], None]]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
