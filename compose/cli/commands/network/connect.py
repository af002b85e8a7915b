"""`pycompose network connect`: put a container on one more network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK")],
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    alias: Annotated[
        list[str] | None, typer.Option("--alias", help="Add network-scoped alias for the container")
    ] = None,
    driver_opt: Annotated[list[str] | None, typer.Option("--driver-opt", help="driver options for the network")] = None,
    gw_priority: Annotated[
        int, typer.Option("--gw-priority", help="Highest gw-priority provides the default gateway")
    ] = 0,
    ip: Annotated[str, typer.Option("--ip", help='IPv4 address (e.g., "172.30.100.104")')] = "",
    ip6: Annotated[str, typer.Option("--ip6", help='IPv6 address (e.g., "2001:db8::33")')] = "",
    link: Annotated[list[str] | None, typer.Option("--link", help="Add link to another container")] = None,
) -> int:
    """Connect a container to a network"""
    from compose.cli import objects
    from compose.usecases import networks, outcomes

    addresses = {"IPv4Address": ip, "IPv6Address": ip6}
    said: dict[str, Any] = {
        "IPAMConfig": {key: value for key, value in addresses.items() if value},
        "Aliases": alias,
        "Links": link,
        "DriverOpts": dict(text.partition("=")[::2] for text in driver_opt or ()),
        "GwPriority": gw_priority,
    }
    settings = {key: value for key, value in said.items() if value}
    invocation = Invocation.of(ctx)
    done = objects.carry_out(invocation, networks.connection(invocation.client(), network, container, settings))
    if done:
        outcomes.the_only(done)
    return 0
