"""Know the value of every variable at every instruction: build arguments, platform, environment, and whose turn it is.

Arguments before the first FROM are seen by FROM lines only; a stage sees them after an `ARG name` of its own. Within a
stage ARG and ENV write to one environment in order, and a stage that starts FROM another has all of the other's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from runtime.build.dockerfile.evaluate import evaluate
from runtime.build.dockerfile.lexer import Lookup, expand
from runtime.build.dockerfile.model import ArgInstruction, Dockerfile, Env, Instruction, LintWarning, Stage
from runtime.build.dockerfile.problem import DockerfileError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T", bound=Instruction)

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a stage whose base image has none; it goes into the image too."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def platform_args(build: str, target: str, stage: str = "default") -> dict[str, str]:
    """The predefined arguments of two platforms (`os/architecture[/variant]`, normalised) and the target stage's name."""
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        system, architecture, variant = (*platform.split("/", 2), "", "")[:3]
        found |= {
            f"{prefix}PLATFORM": platform,
            f"{prefix}OS": system,
            f"{prefix}OSVERSION": "",
            f"{prefix}ARCH": architecture,
            f"{prefix}VARIANT": variant,
        }
    return found | {"TARGETSTAGE": stage or "default"}


def proxy_environment(build_args: Mapping[str, str]) -> dict[str, str]:
    """What RUN gets in both letter cases for the proxy arguments given, without any ARG; not part of image or cache key."""
    given = {name.upper(): value for name, value in sorted(build_args.items()) if name.upper() in PROXIES}
    return {cased: value for name, value in given.items() for cased in (name, name.lower())}


@dataclass(frozen=True, slots=True)
class Globals:
    """The arguments that FROM lines see, and what was given on the command line.

    `values` holds platform arguments and those declared before the first FROM; `given` the build arguments as given.
    """

    dockerfile: Dockerfile
    values: Mapping[str, str]
    given: Mapping[str, str]
    declared: frozenset[str]

    def base(self, stage: Stage) -> tuple[str, str]:
        """(base, platform) of a stage, expanded; platform "" if none was named. Raises DockerfileError."""
        escape, file = self.dockerfile.escape, self.dockerfile.name
        try:
            base = expand(stage.base, self.values.get, escape)
            platform = expand(stage.platform, self.values.get, escape)
        except DockerfileError as error:
            raise error.at(stage.line, file) from None
        if not base:
            raise DockerfileError(
                f"base name ({stage.base}) should not be blank{self._near(stage.base)}", stage.line, file
            )
        if stage.platform and not platform:
            text = f"empty platform value from expression {stage.platform}{self._near(stage.platform)}"
            raise DockerfileError(text, stage.line, file)
        return base, platform

    def _near(self, word: str) -> str:
        """The name that was meant by the first unknown one in the word."""
        missing: list[str] = []

        def lookup(name: str) -> str | None:
            if name not in self.values:
                missing.append(name)
            return self.values.get(name)

        expand(word, lookup, self.dockerfile.escape)
        return suggestion(missing[0], self.values) if missing else ""


def global_args(
    dockerfile: Dockerfile, build_args: Mapping[str, str], build: str, target: str, target_stage: str = ""
) -> Globals:
    """The arguments of a whole build on platform `build` for platform `target`; `target_stage` as asked, "" for the last.

    A build argument given replaces a platform argument and the default of an ARG. Raises DockerfileError.
    """
    stage = target_stage or dockerfile.stages[-1].name
    values = {name: build_args.get(name, value) for name, value in platform_args(build, target, stage).items()}
    for arg in dockerfile.meta_args:
        if arg.name in build_args:
            values[arg.name] = build_args[arg.name]
        elif arg.default is not None:
            try:
                values[arg.name] = expand(arg.default, values.get, dockerfile.escape)
            except DockerfileError as error:
                raise error.at(arg.position.line, dockerfile.name) from None
    return Globals(dockerfile, values, build_args, frozenset(arg.name for arg in dockerfile.meta_args))


@dataclass(slots=True)
class Scope:
    """The variables of one stage while its instructions go by, in order.

    `environment` is all that a RUN sees and words expand to: image ENV and build arguments. `arguments` are the declared
    ARGs alone, in order (None: declared, but without a value), `own` the names that this stage has declared, each as
    often as it did, `defaults` what they were declared with. `image` is the ENV that the image gets. `warnings` collects uses of undefined variables.
    """

    known: Globals
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    image: dict[str, str] = field(default_factory=dict)
    warnings: list[LintWarning] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    defaults: dict[str, str | None] = field(default_factory=dict)

    def evaluate(self, instruction: T) -> T:
        """The instruction expanded; ARG and ENV take effect for those that follow. Raises DockerfileError with the line."""
        if isinstance(instruction, ArgInstruction):
            self._declare(instruction)
            return instruction
        missing: list[str] = []
        dockerfile = self.known.dockerfile
        found = evaluate(instruction, self._recording(missing), dockerfile.escape, dockerfile.name)
        self._warn(missing, instruction.position.line)
        if isinstance(found, Env):
            for name, value in found.pairs:
                self.environment[name] = self.image[name] = value
        return found

    def declared(self, instruction: ArgInstruction) -> list[tuple[str, str | None]]:
        """The names of the ARG that has just gone by, with their defaults (None for none): its text in a history."""
        return [(arg.name, self.defaults[arg.name]) for arg in instruction.args]

    def run_arguments(self) -> list[tuple[str, str]]:
        """What a RUN's text in a history begins with: this stage's own arguments, with what its command sees of them."""
        return [(name, self.environment.get(name, "")) for name in self.own]

    def _recording(self, missing: list[str]) -> Lookup:
        def lookup(name: str) -> str | None:
            value = self.environment.get(name)
            if value is None:
                missing.append(name)
            return value

        return lookup

    def _declare(self, instruction: ArgInstruction) -> None:
        for arg in instruction.args:
            default = None if arg.default is None else self._default(arg.default, instruction)
            value = self.known.given.get(arg.name)
            if value is None:
                value = self.known.values.get(arg.name) if default is None else default
            self.own.append(arg.name)
            self.defaults[arg.name] = default
            self.arguments[arg.name] = value
            if value is not None:
                self.environment[arg.name] = value

    def _default(self, text: str, instruction: ArgInstruction) -> str:
        missing: list[str] = []
        dockerfile = self.known.dockerfile
        try:
            value = expand(text, self._recording(missing), dockerfile.escape)
        except DockerfileError as error:
            raise error.at(instruction.position.line, dockerfile.name) from None
        self._warn(missing, instruction.position.line)
        return value

    def _warn(self, missing: list[str], line: int) -> None:
        for name in dict.fromkeys(missing):
            if name not in self.arguments:
                text = f"Usage of undefined variable '${name}'{suggestion(name, self.environment)}"
                self.warnings.append(LintWarning("UndefinedVar", text, line))


def scope(known: Globals, image: Iterable[str] = (), parent: Scope | None = None) -> Scope:
    """The variables at the start of a stage: `image` is its base's ENV (`NAME=value`), `parent` the scope at the end of the
    stage that it starts from, if its base is one.
    """
    pairs = dict(item.partition("=")[::2] for item in image)
    if parent is not None:
        pairs = {**parent.image, **pairs}
    pairs.setdefault("PATH", DEFAULT_PATH)
    inherited = dict(parent.environment) if parent else {}
    arguments = dict(parent.arguments) if parent else {}
    return Scope(known, {**inherited, **pairs}, arguments, pairs)
