"""Subnets, gateways and ranges of a command line, put together."""

from __future__ import annotations

import pytest

from compose.errors import ComposeError
from compose.usecases import ipam


def test_gateways_and_ranges_go_to_the_subnet_that_has_them() -> None:
    found = ipam.config(
        ["10.1.0.0/16", "fd00::/64"], ["10.1.5.0/24"], ["fd00::9", "10.1.0.9"], {"a": "10.1.1.1", "b": "10.1.1.2"}
    )
    assert found == [
        {
            "Subnet": "10.1.0.0/16",
            "IPRange": "10.1.5.0/24",
            "Gateway": "10.1.0.9",
            "AuxiliaryAddresses": {"a": "10.1.1.1", "b": "10.1.1.2"},
        },
        {"Subnet": "fd00::/64", "Gateway": "fd00::9"},
    ]


@pytest.mark.parametrize(
    ("subnets", "ranges", "gateways", "auxiliary", "message"),
    [
        ([], [], ["10.1.0.1"], {}, "every ip-range or gateway must have a corresponding subnet"),
        (["10.1.0.0/24"], [], ["10.2.0.1"], {}, "no matching subnet for gateway 10.2.0.1"),
        (["10.1.0.0/24"], ["10.2.0.0/24"], [], {}, "no matching subnet for range 10.2.0.0/24"),
        (["10.1.0.0/24"], [], [], {"a": "10.2.0.1"}, "no matching subnet for aux-address 10.2.0.1"),
        (["10.1.0.0/24", "10.1.0.0/25"], [], [], {}, "multiple overlapping subnet configuration is not supported"),
        (["10.1.0.0"], [], [], {}, "invalid subnet 10.1.0.0: invalid CIDR block notation"),
        (["10.1.0.0/24", "10.2.0.0/24"], [], ["10.1.0.1", "10.1.0.2"], {}, "cannot configure multiple gateways"),
    ],
)
def test_what_does_not_fit_is_refused_in_dockers_words(
    subnets: list[str], ranges: list[str], gateways: list[str], auxiliary: dict[str, str], message: str
) -> None:
    with pytest.raises(ComposeError, match=message):
        ipam.config(subnets, ranges, gateways, auxiliary)
