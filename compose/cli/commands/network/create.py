"""`pycompose network create`: make a network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK")],
    attachable: Annotated[bool, typer.Option("--attachable", help="Enable manual container attachment")] = False,
    aux_address: Annotated[
        list[str] | None,
        typer.Option("--aux-address", help="Auxiliary IPv4 or IPv6 addresses used by Network driver (name=address)"),
    ] = None,
    driver: Annotated[str, typer.Option("--driver", "-d", help="Driver to manage the Network")] = "bridge",
    gateway: Annotated[
        list[str] | None, typer.Option("--gateway", help="IPv4 or IPv6 Gateway for the master subnet")
    ] = None,
    internal: Annotated[bool, typer.Option("--internal", help="Restrict external access to the network")] = False,
    ip_range: Annotated[
        list[str] | None, typer.Option("--ip-range", help="Allocate container ip from a sub-range")
    ] = None,
    ipam_driver: Annotated[str, typer.Option("--ipam-driver", help="IP Address Management Driver")] = "default",
    ipam_opt: Annotated[list[str] | None, typer.Option("--ipam-opt", help="Set IPAM driver specific options")] = None,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="Enable or disable IPv6 address assignment")] = False,
    label: Annotated[list[str] | None, typer.Option("--label", help="Set metadata on a network")] = None,
    opt: flags.DriverOptions = None,
    scope: Annotated[str, typer.Option("--scope", help="Control the network's scope: local is the only one")] = "",
    subnet: Annotated[
        list[str] | None, typer.Option("--subnet", help="Subnet in CIDR format that represents a network segment")
    ] = None,
) -> int:
    """Create a network"""
    from compose.cli import objects
    from compose.usecases import ipam, networks, outcomes

    if ipam_driver not in ("", "default"):
        raise ComposeError(f'plugin "{ipam_driver}" not found')
    if scope not in ("", "local"):
        raise ComposeError(f"cannot create a {scope} scoped network: this engine is the only one of its kind")
    pools = ipam.config(_split(subnet), _split(ip_range), _split(gateway), _map(aux_address))
    body: dict[str, Any] = {
        "Driver": driver,
        "Options": _map(opt),
        "IPAM": {"Driver": "default", "Config": pools, "Options": _map(ipam_opt)},
        "Internal": internal,
        "Attachable": attachable,
        "EnableIPv6": ipv6,
        "Labels": objects.pairs(label, "label"),
    }
    invocation = Invocation.of(ctx)
    done = objects.carry_out(invocation, networks.creation(network, body))
    if done:
        outcome = outcomes.the_only(done)
        if not outcome.changed:
            raise ComposeError(f"network with name {network} already exists")
        invocation.console.write(f"{outcome.result['Id']}\n")
    return 0


def _split(values: list[str] | None) -> list[str]:
    """Docker takes a comma for a repeated flag."""
    return [part for value in values or () for part in value.split(",") if part]


def _map(values: list[str] | None) -> dict[str, str]:
    return dict(value.partition("=")[::2] for value in values or ())
