"""Settle what one `image build` asks for into the arguments of a BuildImage operation, and see it through.

Only the client knows the user's environment: values of build arguments, secrets, agents and registry credentials are
read here and go along with the plan.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any, Self

from compose.errors import ComposeError, UsageError
from compose.loader import units
from compose.usecases.buildoutput import fields
from compose.usecases.registryauth import RegistryAccess
from runtime.errors import EngineError, Unavailable, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import BinaryIO

    from compose.usecases.keyagents import KeyAgents
    from runtime.client.client import Client

MAX_SECRET = 500 * 1024
"""Bytes; BuildKit's limit."""
REMOTE = re.compile(r"(?:https?|git|ssh)://|github\.com/|[\w-]+@[\w.-]+:")
_BASE = re.compile(r"^[ \t]*FROM[ \t]+(?:--platform=\S+[ \t]+)?(\S+)", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(r"(?:--from=|\bfrom=)([^\s,]+)")


class BuildFailed(ComposeError):
    """The build failed; `report` is what BuildKit's client prints before the message."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


class Sources:
    """Where a build's files come from and go to: what is on standard input lies in a temporary file for the engine."""

    def __init__(self, context_text: str, dockerfile: str, cwd: str, stdin: BinaryIO) -> None:
        self._context = context_text
        self._file = dockerfile
        self._cwd = cwd
        self._stdin = stdin
        self._temporary = ""
        self.args: dict[str, Any] = {}
        self.dockerfile = ""
        """The Dockerfile's text, where it is known here."""

    def __enter__(self) -> Self:
        if self._context == "-":
            if self._file == "-":
                raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
            self.args["Context"] = self._spooled()
            if self._file:
                self.args["Dockerfile"] = self._file
            return self
        where = context(self._context, self._cwd)
        self.args["Context"] = where
        remote = bool(REMOTE.match(self._context))
        if not remote and not os.path.exists(where):
            raise ComposeError(f'unable to prepare context: path "{self._context}" not found')
        if self._file == "-":
            self.dockerfile = self.args["DockerfileInline"] = self._stdin.read().decode("utf-8", "replace")
            return self
        if self._file:
            self.args["Dockerfile"] = self._file if remote else os.path.join(self._cwd, self._file)
        if not remote and os.path.isdir(where):
            self.dockerfile = read_dockerfile(where, str(self.args.get("Dockerfile") or ""))
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            import shutil

            shutil.rmtree(self._temporary, ignore_errors=True)

    def redirect(self) -> None:
        """Have an archive for standard output written to a temporary file first."""
        for output in self.args.get("Outputs") or ():
            if output.get("Dest") in ("", "-"):
                output["Dest"] = f"{self._place()}/output.tar"

    def deliver(self, stdout: BinaryIO) -> None:
        """Copy it to standard output."""
        import shutil

        path = f"{self._temporary}/output.tar"
        if self._temporary and os.path.exists(path):
            with open(path, "rb") as file:
                shutil.copyfileobj(file, stdout)
            stdout.flush()

    def _spooled(self) -> str:
        import shutil

        path = f"{self._place()}/context"
        with open(path, "xb") as file:
            shutil.copyfileobj(self._stdin, file)
        return path

    def _place(self) -> str:
        if not self._temporary:
            import tempfile

            self._temporary = tempfile.mkdtemp(prefix="pycompose-build-")
        return self._temporary


def run(client: Client, args: Mapping[str, Any], show: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Build; the result (`Id`, `RepoTags`, `Size`). `show` gets each BuildEvent. Raises BuildFailed, EngineError."""
    operation = {"id": 1, "kind": "BuildImage", "resource": f"image {_name(args)}", "cause": "asked for", "args": args}
    result: dict[str, Any] = {}
    for event in client.submit({"project": "", "operations": [operation]}):  # type: ignore[list-item]
        status = event.get("status")
        if status == "vertex":
            show(event["vertex"])
        elif status == "done":
            result = dict(event.get("result") or {})
        elif status == "finished":
            error = event.get("error")
            if error is None:
                return result
            raise failure(from_wire(error))
    raise Unavailable("engine went away during the build")


def failure(error: EngineError, target: str = "") -> EngineError | BuildFailed:
    """An error with its place in the Dockerfile as BuildKit's client shows it; others as they are.

    `target` names the service, where there are several.
    """
    fields = error.fields
    message = f"failed to solve: {error.message}"
    if target:
        message = f"target {target}: {message}"
    report = ""
    if fields.get("vertex"):
        shown = "".join(f"{line}\n" for line in fields.get("log") or ())
        report += f"------\n > {of_target(str(fields['vertex']), target)}:\n{shown}------\n"
    if fields.get("source"):
        report += f"{fields.get('file', 'Dockerfile')}:{fields['line']}\n{'-' * 20}\n"
        for number, text, marked in fields["source"]:
            report += f" {number:3} | {'>>>' if marked else '   '} {text}\n"
        report += f"{'-' * 20}\n"
    return BuildFailed(message, report)


def of_target(name: str, target: str) -> str:
    """A step's name with the service in front, as bake does it: `[web 2/4] RUN make`, `[web] exporting to image`."""
    if not target:
        return name
    return f"[{target} {name[1:]}" if name.startswith("[") else f"[{target}] {name}"


def build_args(given: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`--build-arg`: a name without a value takes that of the environment, or is as if not given."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    return found


def labels(given: Iterable[str]) -> dict[str, str]:
    """`--label name=value`."""
    return dict(item.partition("=")[::2] for item in given)


def secrets(given: Iterable[str], environ: Mapping[str, str], cwd: str) -> list[dict[str, str]]:
    """`--secret id=ID[,src=FILE|,env=NAME]`; raises ComposeError for one that cannot be read."""
    found = []
    for item in given:
        said = fields(item, {"type", "id", "source", "src", "env"})
        identifier = said.get("id", "")
        if not identifier:
            raise ComposeError(f"invalid secret {item!r}: no id")
        source, variable = said.get("source") or said.get("src") or "", said.get("env") or ""
        kind = said.get("type", "")
        if kind not in ("", "file", "env"):
            raise ComposeError(f'unsupported secret type "{kind}"')
        if kind == "env" and source:
            variable, source = source, ""
        if not source and not variable and kind != "file" and identifier in environ:
            variable = identifier
        data = environ[variable].encode() if variable in environ else b""
        if not variable:
            data = secret_file(os.path.join(cwd, source or identifier), identifier)
        if len(data) > MAX_SECRET:
            raise ComposeError(f"invalid secret size {len(data)}: {identifier} is larger than {MAX_SECRET} bytes")
        found.append({"Id": identifier, "Data": base64.b64encode(data).decode()})
    return found


def secret_file(path: str, identifier: str) -> bytes:
    """A secret's content; raises ComposeError."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_SECRET + 1)
    except OSError as error:
        raise ComposeError(f"could not read secret {identifier}: open {path}: {_reason(error)}") from error


def agents(given: Iterable[str], environ: Mapping[str, str], cwd: str, keys: KeyAgents) -> list[dict[str, str]]:
    """`--ssh default|ID[=SOCKET|KEY[,KEY]]`; `keys` makes agents of key files. Raises ComposeError."""
    found = []
    for item in given:
        identifier, _, said = item.partition("=")
        said = said or environ.get("SSH_AUTH_SOCK", "")
        if not said:
            raise ComposeError(f"invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set (--ssh {item})")
        paths = [os.path.join(cwd, path) for path in said.split(",")]
        files = [path for path in paths if os.path.isfile(path)]
        if files and len(files) < len(paths):
            raise ComposeError(f"ssh {item}: keys and sockets cannot be mixed, or a key is missing")
        if len(paths) > 1 and not files:
            raise ComposeError(f"ssh {item}: only one agent's socket can be given")
        place = keys.socket(files, f"ssh {item}") if files else paths[0]
        found.append({"Id": identifier or "default", "Socket": place})
    return found


def ulimits(given: Iterable[str]) -> list[dict[str, Any]]:
    """`--ulimit name=soft[:hard]`; raises UsageError."""
    found = []
    for item in given:
        name, _, values = item.partition("=")
        soft, _, hard = values.partition(":")
        try:
            found.append({"Name": name, "Soft": int(soft), "Hard": int(hard or soft)})
        except ValueError:
            raise UsageError(f"invalid ulimit argument: {item}") from None
    return found


def size(text: str) -> int:
    """Bytes of `64m` and its like; raises UsageError."""
    try:
        return units.parse_size(text) if text else 0
    except ValueError:
        raise UsageError(f"invalid size: '{text}'") from None


def contexts(given: Iterable[str], cwd: str) -> dict[str, str]:
    """`--build-context name=VALUE`, directories made absolute; raises UsageError."""
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"invalid context value: {item}, expected key=value")
        found[name] = context(value, cwd)
    return found


def context(value: str, cwd: str) -> str:
    """A context as the engine needs it: local paths absolute, also that of an OCI layout."""
    if value.startswith("oci-layout://"):
        return "oci-layout://" + os.path.normpath(os.path.join(cwd, value.removeprefix("oci-layout://")))
    if REMOTE.match(value) or value.startswith(("docker-image://", "target:", "service:")):
        return value
    return os.path.normpath(os.path.join(cwd, value))


def access(environ: Mapping[str, str], cwd: str, dockerfile: str) -> dict[str, Any]:
    """How the registries of a Dockerfile's bases are reached; those of a name with variables are all that are known."""
    return access_for(RegistryAccess(environ, cwd), dockerfile)


def access_for(registries: RegistryAccess, dockerfile: str, more: Iterable[str] = ()) -> dict[str, Any]:
    """The same from what is known about registries already, for the images of `more` too."""
    names = [*_image_names(dockerfile), *more]
    plain = [name for name in names if "$" not in name and re.fullmatch(r"[\w.:/@-]+", name)]
    hosts = {name.split("/", 1)[0] for name in plain if "." in name.split("/", 1)[0] or ":" in name.split("/", 1)[0]}
    hosts |= {"docker.io"}
    if len(plain) != len(names):
        hosts |= {name for name in (registries.config().get("auths") or {}) if "://" not in name}
    return dict(registries.of_registries(hosts))


def bases(dockerfile: str) -> tuple[str, ...] | None:
    """The images, or stages, that a Dockerfile names; None if one name has variables."""
    names = tuple(dict.fromkeys(_image_names(dockerfile)))
    return None if any("$" in name for name in names) else names


def _image_names(dockerfile: str) -> list[str]:
    return [*_BASE.findall(dockerfile), *_FROM.findall(dockerfile)]


def references(args: Mapping[str, Any]) -> list[str]:
    """The images that arguments of a build name themselves: caches, contexts, and what is pushed."""
    caches = [*(args.get("CacheFrom") or ()), *(args.get("CacheTo") or ())]
    found = [re.sub(r"^.*\bref=", "", text).split(",")[0] for text in caches if "=" not in text or "ref=" in text]
    found += args["Tags"] if args.get("Push") else ()
    contexts = (args.get("AdditionalContexts") or {}).values()
    return found + [text.removeprefix("docker-image://") for text in contexts if text.startswith("docker-image://")]


def read_dockerfile(context_path: str, name: str) -> str:
    """The text of a local Dockerfile, empty where it is not local or not there: the engine will say so."""
    path = name if os.path.isabs(name) else os.path.join(context_path, name or "Dockerfile")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _name(args: Mapping[str, Any]) -> str:
    tags = args.get("Tags") or ()
    return str(tags[0]) if tags else str(args.get("Context") or "")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
