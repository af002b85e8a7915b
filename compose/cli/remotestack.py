"""Ask before a project runs whose files came from elsewhere; Compose's questions, and one more about this machine.

Compose asks about variables only, and only where the first file is remote: what remote files take of the host (mounts,
programs, its namespaces) is asked about here whichever way they came, and without an answer the answer is no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError

if TYPE_CHECKING:
    from compose.cli.console import Console
    from compose.cli.invocation import Invocation
    from compose.model.project import Project

YES = frozenset({"y", "yes", "t", "true", "1"})
NO = frozenset({"n", "no", "f", "false", "0"})
DECLINED = "operation cancelled by user"


def confirm_remote(invocation: Invocation, project: Project, *, assume_yes: bool = False) -> None:
    """Tell and ask what has to be told of remote files; raises ComposeError if the user does not agree."""
    remotes = invocation.remotes()
    if not remotes:
        return
    from compose.usecases import remotestack

    console, request = invocation.console, invocation.request().replace(warn=None)
    top = [remote for remote in remotes if remote.file in project.compose_files]
    others = [remote.address for remote in remotes if remote not in top]
    asks = not (assume_yes or invocation.dry_run)
    if top and others and asks:
        listed = "".join(f"  - {address}\n" for address in others)
        console.write(f"\nWarning: This Compose project includes files from remote sources:\n{listed}")
        console.write("\nRemote includes could potentially be malicious. Make sure you trust the source.\n")
        _ask(console, "Do you want to continue? [y/N]: ", default=False)
    if top and invocation.tells_progress:
        console.write(f'Your compose stack "{top[0].address}" is stored in "{project.working_dir}"\n')
        console.stdout.flush()
    if not asks:
        return
    mentions = remotestack.mentions(request, project) if top else []
    if mentions:
        from compose.cli.render.table import table

        rows = [
            (each.name, each.value, each.source, "yes" if each.required else "no", each.default) for each in mentions
        ]
        header = ("VARIABLE", "VALUE", "SOURCE", "REQUIRED", "DEFAULT")
        console.write(f"\nFound the following variables in configuration:\n{table([header, *rows], min_width=0)}")
        _ask(console, "\nDo you want to proceed with these variables? [Y/n]: ", default=True)
    lines = remotestack.host_access(request, project, remotes)
    if lines:
        console.write("\nRemote files take of this machine:\n" + "".join(f"  - {line}\n" for line in lines))
        _ask(console, "Do you want to allow this? [y/N]: ", default=False)


def _ask(console: Console, question: str, *, default: bool) -> None:
    """An empty answer on a terminal is the default; without a terminal it is a no, as with Compose."""
    console.write(question)
    console.stdout.flush()
    answer = console.stdin.readline().strip().lower()
    agreed = answer not in NO if default and console.stdin_is_terminal else answer in YES
    if not agreed:
        raise ComposeError(DECLINED)
