"""`pycompose engine unit`: print a systemd unit, with which containers come back at boot.

The engine needs no service manager and leaves its unit's cgroup: a unit that only starts and stops it says all there is
to say. The stop comes before the network's, and lets containers end in order.
"""

from __future__ import annotations

import os
import sys

import typer

from compose.cli.invocation import Invocation

KEPT = ("PYCOMPOSE_ROOT", "PYTHONPATH")
UNIT = """\
# {place}
[Unit]
Description=pycompose: containers with a restart policy
Wants=network-online.target
After=network-online.target nss-lookup.target nftables.service firewalld.service
RequiresMountsFor={root}

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=PYCOMPOSE_WARM=0
{environment}ExecStart={program} engine start
ExecStop={program} engine stop --containers --resume
TimeoutStopSec=5min

[Install]
WantedBy={target}
"""


def run(ctx: typer.Context) -> int:
    """Print a systemd unit that starts the engine at boot and stops containers in order at shutdown"""
    invocation = Invocation.of(ctx)
    environ = invocation.console.environ
    client = invocation.client(start=False)
    root = os.geteuid() == 0
    place = "/etc/systemd/system/pycompose.service" if root else "~/.config/systemd/user/pycompose.service"
    program = " ".join(quoted(word).replace("$", "$$") for word in (sys.executable, "-P", "-m", "compose"))
    invocation.console.write(
        UNIT.format(
            place=f"{place}: pycompose engine unit > {place} && systemctl {'' if root else '--user '}enable --now pycompose",
            root=quoted(client.paths.root),
            environment="".join(
                f"Environment={quoted(f'{name}={environ[name]}')}\n" for name in KEPT if environ.get(name)
            ),
            program=program,
            target="multi-user.target" if root else "default.target",
        )
    )
    return 0


def quoted(word: str) -> str:
    """A word of a unit file: systemd expands % and splits at blanks."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = all(sign.isalnum() or sign in "/._-=:+@," for sign in word)
    return word if plain else f'"{escaped}"'
