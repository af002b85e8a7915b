from __future__ import annotations

from contextlib import nullcontext

import pytest

from runtime.errors import InvalidParameter
from runtime.network import naming


@pytest.mark.parametrize("text", ["02:42:0a:00:00:02", "02-42-0A-00-00-02"])
def test_an_address_of_an_interface_is_taken(text: str) -> None:
    naming.check_mac_address(text, "net")


@pytest.mark.parametrize(
    "text", ["zz", "02:42", "03:42:0a:00:00:02", "00:00:00:00:00:00", "02:42:0a-00:00:02", "02:42:0a:00:00:02\n"]
)
def test_what_no_interface_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid config for network net: invalid MAC address"):
        naming.check_mac_address(text, "net")


@pytest.mark.parametrize(
    ("option", "value", "good"),
    [
        (naming.BRIDGE_OPTION, "lan0", True),
        (naming.BRIDGE_OPTION, "x" * 15, True),
        (naming.BRIDGE_OPTION, "x" * 16, False),
        (naming.BRIDGE_OPTION, "a b", False),
        (naming.BRIDGE_OPTION, "a/b", False),
        (naming.BRIDGE_OPTION, "..", False),
        (naming.INTERFACE_PREFIX_OPTION, "lan", True),
        (naming.INTERFACE_PREFIX_OPTION, "x" * 13, False),
        (naming.BINDING_OPTION, "127.0.0.1", True),
        (naming.BINDING_OPTION, "::1", False),
        (naming.BINDING_OPTION, "localhost", False),
    ],
)
def test_options_of_a_network_are_names_and_addresses(option: str, value: str, good: bool) -> None:
    with nullcontext() if good else pytest.raises(InvalidParameter, match=option):
        naming.check_options({option: value}, "lan")
