"""Stand for the caller's terminal, environment and directory; made in `main`, passed on, never reached for."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from compose.cli.render import ansi

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SIZE = (24, 80)


class Console:
    """Streams of one command. Descriptors are used for container output, text streams for ours."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        cwd: str,
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        started: float = 0.0,
        pid: int = 0,
    ) -> None:
        """`pid`: of the process that the caller knows as the command; 0 for this one."""
        self.environ: dict[str, str] = dict(environ)
        self.cwd = cwd
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.started = started
        self.pid = pid or os.getpid()
        self.ansi = "auto"
        self.json_messages = False

    @property
    def stdout_is_terminal(self) -> bool:
        return _is_terminal(self.stdout)

    @property
    def stderr_is_terminal(self) -> bool:
        return _is_terminal(self.stderr)

    @property
    def stdin_is_terminal(self) -> bool:
        return _is_terminal(self.stdin)

    def colour(self, stream: TextIO) -> bool:
        """Whether to colour what goes to a stream: NO_COLOR and --ansi decide, else whether it is a terminal."""
        if self.environ.get("NO_COLOR") or self.ansi == "never":
            return False
        return self.ansi == "always" or _is_terminal(stream)

    def size(self) -> tuple[int, int]:
        """Rows and columns of the terminal that shows progress."""
        for stream in (self.stderr, self.stdout):
            try:
                found = os.get_terminal_size(stream.fileno())
            except (OSError, ValueError):
                continue
            if found.columns and found.lines:
                return found.lines, found.columns
        return DEFAULT_SIZE

    def write(self, text: str) -> None:
        """Print results on standard output, as they are. Raises ComposeError where they cannot be written."""
        try:
            self.stdout.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            from compose.errors import ComposeError

            raise ComposeError(unwritten(error)) from error

    def confirm(self, warning: str) -> bool:
        """Docker's question before something is pruned; only `y` is a yes, from wherever the answer comes."""
        self.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
        self.stdout.flush()
        return self.stdin.readline().strip().lower() == "y"

    def error(self, text: str) -> None:
        """A message on standard error; an error object with --progress json."""
        if self.json_messages:
            import json

            text = json.dumps({"error": True, "message": text}, separators=(",", ":"), ensure_ascii=False)
        self.stdout.flush()
        self.stderr.write(f"{text}\n")
        self.stderr.flush()

    def log(self, level: str, text: str) -> None:
        """A warning or information as Compose's logger prints it on standard error."""
        self.stdout.flush()
        self.stderr.write(self._log_line(level, text))
        self.stderr.flush()

    def warn(self, text: str) -> None:
        self.log("warning", text)

    def _log_line(self, level: str, text: str) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime())
        stamp = stamp[:-5] + "Z" if stamp.endswith("+0000") else f"{stamp[:-2]}:{stamp[-2:]}"
        if self.json_messages:
            import json

            return json.dumps({"level": level, "msg": text, "time": stamp}, ensure_ascii=False) + "\n"
        if not self.stderr_is_terminal:
            return f'time="{stamp}" level={level} msg={_logfmt(text)}\n'
        code = {"warning": ansi.YELLOW, "error": "31", "info": "36"}.get(level, "")
        label = ansi.paint(level[:4].upper(), code, colour=self.colour(self.stderr))
        return f"{label}[{int(time.monotonic() - self.started):04d}] {text} \n"


def unwritten(error: OSError) -> str:
    """What to say when results cannot be written."""
    return f"writing standard output: {(error.strerror or str(error)).lower()}"


def from_process(pid: int = 0) -> Console:
    """The console of this process, which works for process `pid`; a stream its caller closed is the null device."""
    _fill_closed_streams()
    return Console(
        environ=os.environ,
        cwd=_working_directory(),
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
        started=time.monotonic(),
        pid=pid,
    )


def _fill_closed_streams() -> None:
    """Give a closed standard stream (`>&-`) the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - lives as long as the process


def _working_directory() -> str:
    """$PWD if it names the current directory (symbolic links kept, as the shell shows them), else what the kernel says."""
    said = os.environ.get("PWD", "")
    try:
        here = os.getcwd()
        return said if said.startswith("/") and os.path.samefile(said, here) else here
    except OSError:
        return said or "/"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def _logfmt(text: str) -> str:
    plain = text and all(character.isalnum() or character in "-._/@^+" for character in text)
    if plain:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
