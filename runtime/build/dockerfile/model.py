"""A Dockerfile as data: one value per instruction, each with its place in the file.

Words are kept as they were written, unexpanded and with their quotes: what a variable means is known only when the stage
is evaluated (see args.py), and which fields are expanded is written at each class. Flags that are not given have their
empty value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]


@dataclass(frozen=True, slots=True)
class Position:
    """Lines `line` to `end_line` (from 1, both included) of the file; `text` is what stands there, here-documents too."""

    line: int
    end_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document. `content` has its tabs already stripped for `<<-`; `expand` is false when the name was quoted.

    `name` is the bare end word (for COPY and ADD also the name of the file that is made); `fd` is the number before `<<`.
    """

    name: str
    content: str
    expand: bool
    strip_tabs: bool = False
    fd: int = 0


@dataclass(frozen=True, slots=True)
class Shell:
    """Shell form: one line of text (continuations joined), run by the stage's shell. The shell expands it, not we."""

    line: str


@dataclass(frozen=True, slots=True)
class Exec:
    """Exec form (a JSON array): run as it is; never expanded."""

    args: tuple[str, ...]


Command: TypeAlias = Shell | Exec


@dataclass(frozen=True, slots=True)
class Mount:
    """One `RUN --mount`, expanded and checked (evaluate.py makes it from the flag's text when the stage is evaluated).

    bind: `target` is required, `source` defaults to `/`, `from_` "" is the build context; writes are thrown away (`readonly`
    default true, `rw` makes it false). cache: `id` defaults to the target, `mode` to 0o755. tmpfs: `size` in bytes, 0 for no
    limit. secret: `id` (or the target's base name); `target` "" with `env` "" means /run/secrets/<id>; `env` names the
    variable; `mode` 0o400. ssh: `id` "default", `target` "" means /run/buildkit/ssh_agent.N; `mode` 0o600.
    """

    type: MountType
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    readonly: bool = False
    sharing: Sharing = "shared"
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    required: bool = False
    env: str = ""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What all instructions have."""

    position: Position


@dataclass(frozen=True, slots=True)
class Arg:
    """One name of an ARG instruction; `default` None means none was given. Both are expanded."""

    name: str
    default: str | None
    position: Position


@dataclass(frozen=True, slots=True)
class ArgInstruction(Instruction):
    """ARG: declares build arguments for what follows in the stage, in order."""

    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """ENV: (key, value) pairs; both expanded, all from the environment before the instruction."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """LABEL: (key, value) pairs; both expanded."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """RUN. Only mounts are expanded, never the command.

    `mount_flags` is the text of each `--mount` as written; `mounts` is () until `evaluate()` has expanded them, as any of
    their values may hold a variable, `from` excepted: `mount_sources` has those, one for each flag, "" for none.
    A command that is only `<<EOF` has its script in `script`. Any other here-documents are the shell's to read: `command`
    is then the whole text with them in it.
    """

    command: Command
    mount_flags: tuple[str, ...] = ()
    mount_sources: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: Literal["", "default", "none", "host"] = ""
    security: Literal["", "sandbox", "insecure"] = ""
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def script(self) -> Heredoc | None:
        """The here-document that is the whole command (`RUN <<EOF`), else None.

        Its content is the shell's line; content that starts with `#!` is a file to be run instead (BuildKit's is
        /dev/pipes/NAME, mode 0755). Whether its name was quoted means nothing here.
        """
        return (
            self.heredocs[0]
            if self.heredocs and isinstance(self.command, Shell) and "\n" not in self.command.line
            else None
        )


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """CMD; never expanded."""

    command: Command


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """ENTRYPOINT; never expanded. It takes back a CMD that the base image brought."""

    command: Command


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """EXPOSE: `port[/protocol]` or ranges; each word is expanded, and the result may be several words."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """COPY. Sources, destination, `chown`, `chmod` and the content of here-documents are expanded; `from_` and `exclude` not.

    `heredocs` are files to be made at the destination; `sources` are the others.
    """

    sources: tuple[str, ...]
    destination: str
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Add(Instruction):
    """ADD. Expanded as COPY, and `checksum` too. `unpack` None: local archives yes, downloads no.

    `keep_git_dir` keeps `.git` of a git source; None means the URL decides (`?keep-git-dir=`), else not.
    """

    sources: tuple[str, ...]
    destination: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None
    exclude: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """VOLUME: paths; each expanded."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User(Instruction):
    """USER; expanded."""

    user: str


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    """WORKDIR; expanded. A relative path goes on from the current one."""

    path: str


@dataclass(frozen=True, slots=True)
class OnBuild(Instruction):
    """ONBUILD: `trigger` is the text that goes into the image (here-documents too), to be read by parser.parse_trigger()
    in the builds that start from it; only its keyword has been checked."""

    trigger: str


@dataclass(frozen=True, slots=True)
class StopSignal(Instruction):
    """STOPSIGNAL: name or number; expanded."""

    signal: str


@dataclass(frozen=True, slots=True)
class HealthCheck(Instruction):
    """HEALTHCHECK; never expanded. `test` is the image's form: (NONE), (CMD, ...) or (CMD-SHELL, line).

    Durations are nanoseconds, 0 for "not given"; `retries` 0 likewise.
    """

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ShellInstruction(Instruction):
    """SHELL: the words that run shell forms from here on; never expanded."""

    shell: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    """MAINTAINER (deprecated): the image's author; never expanded."""

    name: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows. `name` is "" or lower case; `base` and `platform` are unexpanded (meta args only)."""

    index: int
    name: str
    base: str
    platform: str
    instructions: tuple[Instruction, ...]
    position: Position

    @property
    def line(self) -> int:
        """The line of FROM."""
        return self.position.line


@dataclass(frozen=True, slots=True)
class LintWarning:
    """Something legal that is likely a mistake; `rule` is BuildKit's name for it."""

    rule: str
    message: str
    line: int


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file. `syntax` is the named frontend ("" for none; ours is used whatever it says), `escape` `\\` or backtick."""

    syntax: str
    escape: str
    meta_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    warnings: tuple[LintWarning, ...] = ()
    name: str = "Dockerfile"
