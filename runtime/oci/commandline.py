"""The words of the OCI command line: runc's verbs and options.

Options that change nothing here (`--no-pivot`, `--systemd-cgroup`, ...) are taken and hidden, for engines pass them.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM: Final = "pycompose oci"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of the whole usage."""
        print(f"{PROGRAM}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def parser(version: str) -> argparse.ArgumentParser:
    """The parser of all verbs; the chosen one is `verb` in what it gives."""
    made = _Parser(prog=PROGRAM, description="OCI runtime", allow_abbrev=False)
    made.add_argument("--root", default="/run/pycompose/oci", help="directory of container state")
    made.add_argument("--log", default="", metavar="FILE", help="append errors to a file")
    made.add_argument("--log-format", choices=("text", "json"), default="text", help="form of its lines")
    for hidden in ("--debug", "--systemd-cgroup"):
        made.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--rootless", default="auto", help=argparse.SUPPRESS)
    made.add_argument("-v", "--version", action="version", version=version)
    verbs = made.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (text, add) in _VERBS.items():
        added = verbs.add_parser(verb, help=text, description=text, allow_abbrev=False)
        add(added)
    return made


def _add_create(made: argparse.ArgumentParser) -> None:
    made.add_argument("-b", "--bundle", default=".", help="directory with config.json (default: here)")
    _add_process(made)
    made.add_argument("--no-pivot", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--no-new-keyring", action="store_true", help=argparse.SUPPRESS)
    _add_id(made)


def _add_run(made: argparse.ArgumentParser) -> None:
    made.add_argument("-d", "--detach", action="store_true", help="do not wait for the end")
    made.add_argument("--keep", action="store_true", help="do not delete the container when it has ended")
    _add_create(made)


def _add_exec(made: argparse.ArgumentParser) -> None:
    _add_process(made)
    made.add_argument("-p", "--process", default="", metavar="FILE", help="the process section to use")
    made.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    made.add_argument("-d", "--detach", action="store_true", help="do not wait for the end")
    made.add_argument("--cwd", default="", help="working directory")
    made.add_argument("-u", "--user", default="", metavar="USER[:GROUP]")
    made.add_argument("-g", "--additional-gids", action="append", default=[], metavar="GID")
    made.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE")
    made.add_argument("-c", "--cap", action="append", default=[], help="a capability more")
    made.add_argument("--no-new-privs", action="store_true")
    _add_id(made)
    made.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")


def _add_process(made: argparse.ArgumentParser) -> None:
    made.add_argument("--console-socket", default="", metavar="PATH", help="send the terminal's master there")
    made.add_argument("--pid-file", default="", metavar="PATH", help="write the process id there")
    made.add_argument("--preserve-fds", type=int, default=0, metavar="N", help="pass on descriptors 3 to 2+N")


def _add_kill(made: argparse.ArgumentParser) -> None:
    made.add_argument("-a", "--all", action="store_true", help="every process of the container")
    _add_id(made)
    made.add_argument("signal", nargs="?", default="SIGTERM")


def _add_delete(made: argparse.ArgumentParser) -> None:
    made.add_argument("-f", "--force", action="store_true", help="also one that runs, is damaged or is not there")
    _add_id(made)


def _add_list(made: argparse.ArgumentParser) -> None:
    made.add_argument("-q", "--quiet", action="store_true", help="ids only")
    _add_format(made)


def _add_ps(made: argparse.ArgumentParser) -> None:
    _add_format(made)
    _add_id(made)


def _add_format(made: argparse.ArgumentParser) -> None:
    made.add_argument("-f", "--format", choices=("table", "json"), default="table")


def _add_id(made: argparse.ArgumentParser) -> None:
    made.add_argument("id", metavar="ID")


def _add_nothing(made: argparse.ArgumentParser) -> None:
    return


_VERBS: Final[dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]] = {
    "create": ("Make a container that waits for its start", _add_create),
    "start": ("Let the program of a created container run", _add_id),
    "run": ("Create and start a container and wait for its end", _add_run),
    "exec": ("Run a further process in a running container", _add_exec),
    "state": ("Show the state of a container", _add_id),
    "list": ("List the containers", _add_list),
    "ps": ("List the processes of a container", _add_ps),
    "kill": ("Send a signal to a container", _add_kill),
    "pause": ("Stop every process of a container", _add_id),
    "resume": ("Let a paused container go on", _add_id),
    "delete": ("Remove a container", _add_delete),
    "features": ("Show what the runtime can do", _add_nothing),
}
