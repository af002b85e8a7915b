"""The network laboratory as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.network.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[True, False], ids=["bridge-nf", "no-bridge-nf"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """With and without bridges calling iptables."""
    made = Lab(bridge_calls_iptables=request.param)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def plain_lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()
