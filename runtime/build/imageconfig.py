"""What an instruction does to the image's configuration and its history, with BuildKit's words.

An image built of the same Dockerfile has the same configuration as Docker's, down to the texts of its history.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any, Final

from runtime.build.dockerfile.args import DEFAULT_PATH
from runtime.build.dockerfile.model import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    HealthCheck,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    ShellInstruction,
    StopSignal,
    User,
    Volume,
    Workdir,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runtime.build.dockerfile.model import Instruction

COMMENT: Final = "buildkit.dockerfile.v0"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
_SECOND: Final = 1_000_000_000
_BELOW_A_SECOND: Final = ((1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_ESCAPES: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


class ImageConfig:
    """An image configuration under construction; `document` is the OCI document without layers and times."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.history: list[dict[str, Any]] = [dict(entry) for entry in document.pop("history", None) or ()]
        self.config: dict[str, Any] = document.setdefault("config", {})
        self.steps: list[str] = []
        """The cache key of the step behind each layer; empty for those of the base."""
        self.command_set = False
        """Whether this stage gave a CMD: ENTRYPOINT takes back only one that came from the base."""

    def copy(self) -> ImageConfig:
        """The same for a stage that goes on from here."""
        made = ImageConfig(json.loads(json.dumps({**self.document, "history": self.history})))
        made.config.pop("OnBuild", None)
        made.steps = list(self.steps)
        return made

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs shell forms."""
        return tuple(self.config.get("Shell") or DEFAULT_SHELL)

    def note(self, text: str, *, layer: bool, state: bool = False, created: str = "") -> None:
        """Add to the history; `state`: the instruction changed files by BuildKit's graph, which it marks."""
        entry: dict[str, Any] = {"created_by": f"{text} # buildkit" if state else text, "comment": COMMENT}
        if created:
            entry["created"] = created
        if not layer:
            entry["empty_layer"] = True
        self.history.append(entry)

    def apply(self, instruction: Instruction) -> bool:
        """Apply an instruction that only changes the configuration; False if it is another kind."""
        change = _CHANGES.get(type(instruction))
        if change is None:
            return False
        text = change(self, instruction)
        if text:
            self.note(text, layer=False)
        return True

    def set_env(self, name: str, value: str) -> None:
        """Set a variable of the image; an old one keeps its place."""
        entries = list(self.config.get("Env") or ())
        for index, entry in enumerate(entries):
            if entry.partition("=")[0] == name:
                entries[index] = f"{name}={value}"
                break
        else:
            entries.append(f"{name}={value}")
        self.config["Env"] = entries


def empty(architecture: str, variant: str = "") -> ImageConfig:
    """What FROM scratch starts with."""
    document: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={DEFAULT_PATH}"], "WorkingDir": "/"},
    }
    if variant:
        document["variant"] = variant
    return ImageConfig(document)


def of_image(document: dict[str, Any]) -> ImageConfig:
    """What a stage FROM an image starts with: the image's own, without its ONBUILD triggers, which are run now."""
    kept = json.loads(json.dumps(document))
    for key in (
        "created",
        "rootfs",
        "container",
        "container_config",
        "docker_version",
        "id",
        "parent",
        "io.pycompose.steps",
    ):
        kept.pop(key, None)
    made = ImageConfig(kept)
    made.steps = [""] * len((document.get("rootfs") or {}).get("diff_ids") or ())
    made.config.pop("OnBuild", None)
    entries = [str(entry).partition("=")[0] for entry in made.config.get("Env") or ()]
    if "PATH" not in entries:
        made.set_env("PATH", DEFAULT_PATH)
    return made


def argv(command: Command, shell: Sequence[str]) -> list[str]:
    """The words that a shell or exec form runs."""
    return [*shell, command.line] if isinstance(command, Shell) else list(command.args)


def run_text(words: Iterable[str], arguments: Iterable[tuple[str, str]]) -> str:
    """RUN in a history: build arguments in scope come before the command, behind their number."""
    given = [f"{name}={value}" for name, value in arguments]
    head = [f"|{len(given)}", *given] if given else []
    return "RUN " + " ".join([*head, *words])


def quoted(words: Iterable[str]) -> str:
    """A list of strings as Go prints it with %q."""
    return "[" + " ".join(go_quote(word) for word in words) + "]"


def go_quote(text: str) -> str:
    """A string as Go's %q prints it."""
    parts = []
    for character in text:
        if character in ('"', "\\"):
            parts.append(f"\\{character}")
        elif character in _ESCAPES:
            parts.append(_ESCAPES[character])
        elif character.isprintable():
            parts.append(character)
        elif ord(character) < 0x80:
            parts.append(f"\\x{ord(character):02x}")
        else:
            parts.append(f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}")
    return '"' + "".join(parts) + '"'


def _env(image: ImageConfig, item: Env) -> str:
    for name, value in item.pairs:
        image.set_env(name, value)
    return "ENV " + " ".join(f"{name}={value}" for name, value in item.pairs)


def _label(image: ImageConfig, item: Label) -> str:
    image.config["Labels"] = dict(image.config.get("Labels") or {}) | dict(item.pairs)
    return "LABEL " + " ".join(f"{name}={value}" for name, value in item.pairs)


def _cmd(image: ImageConfig, item: Cmd) -> str:
    words = argv(item.command, image.shell)
    image.config["Cmd"] = words
    image.config["ArgsEscaped"] = True
    image.command_set = True
    return f"CMD {quoted(words)}"


def _entrypoint(image: ImageConfig, item: Entrypoint) -> str:
    words = argv(item.command, image.shell)
    image.config["Entrypoint"] = words
    if not image.command_set:
        image.config.pop("Cmd", None)
    return f"ENTRYPOINT {quoted(words)}"


def _expose(image: ImageConfig, item: Expose) -> str:
    image.config["ExposedPorts"] = dict(image.config.get("ExposedPorts") or {}) | {port: {} for port in item.ports}
    return "EXPOSE map[" + " ".join(f"{port}:{{}}" for port in sorted(set(item.ports))) + "]"


def _volume(image: ImageConfig, item: Volume) -> str:
    image.config["Volumes"] = dict(image.config.get("Volumes") or {}) | {path: {} for path in item.paths}
    return f"VOLUME [{' '.join(item.paths)}]"


def _user(image: ImageConfig, item: User) -> str:
    image.config["User"] = item.user
    return f"USER {item.user}"


def _stop_signal(image: ImageConfig, item: StopSignal) -> str:
    image.config["StopSignal"] = item.signal
    return f"STOPSIGNAL {item.signal}"


def _shell(image: ImageConfig, item: ShellInstruction) -> str:
    image.config["Shell"] = list(item.shell)
    return f"SHELL [{' '.join(item.shell)}]"


def _on_build(image: ImageConfig, item: OnBuild) -> str:
    image.config["OnBuild"] = [*(image.config.get("OnBuild") or ()), item.trigger]
    return ""


def _maintainer(image: ImageConfig, item: Maintainer) -> str:
    image.document["author"] = item.name
    return f"MAINTAINER {item.name}"


def _health_check(image: ImageConfig, item: HealthCheck) -> str:
    numbers = {
        "Interval": item.interval,
        "Timeout": item.timeout,
        "StartPeriod": item.start_period,
        "StartInterval": item.start_interval,
        "Retries": item.retries,
    }
    given = {key: value for key, value in numbers.items() if value}
    image.config["Healthcheck"] = {"Test": list(item.test), **given}
    times = (item.interval, item.timeout, item.start_period, item.start_interval)
    durations = " ".join(go_quote(go_duration(value)) for value in times)
    return f"HEALTHCHECK &{{{quoted(item.test)} {durations} '{_go_rune(item.retries)}'}}"


def go_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: `1m30s`, `1.5s`, `300ms`, `0s`."""
    if 0 < nanoseconds < _SECOND:
        unit, name = next((unit, name) for unit, name in _BELOW_A_SECOND if nanoseconds >= unit)
        return f"{_trimmed(nanoseconds, unit)}{name}"
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_trimmed(rest, _SECOND)}s"


def _trimmed(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _go_rune(number: int) -> str:
    character = chr(number)
    if character in ("'", "\\"):
        return f"\\{character}"
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\x{number:02x}"


def workdir(image: ImageConfig, item: Workdir) -> str:
    """Set the working directory; the new one."""
    path = posixpath.join(image.config.get("WorkingDir") or "/", item.path)
    cleaned = "/" + posixpath.normpath(path).lstrip("/")
    image.config["WorkingDir"] = cleaned
    return cleaned


_CHANGES: Final[dict[type, Callable[[ImageConfig, Any], str]]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    HealthCheck: _health_check,
    Label: _label,
    Maintainer: _maintainer,
    OnBuild: _on_build,
    ShellInstruction: _shell,
    StopSignal: _stop_signal,
    User: _user,
    Volume: _volume,
}
