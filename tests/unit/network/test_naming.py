from __future__ import annotations

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
