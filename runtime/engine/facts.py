"""What specs depend on besides the record: found out once per engine."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING

from runtime.oci import machinefacts

if TYPE_CHECKING:
    from runtime.engine.engine import Engine
    from runtime.oci.spec import SpecFacts

_gathered = lru_cache(maxsize=4)(machinefacts.gather)


def spec_facts(engine: Engine) -> SpecFacts:
    """Facts of this machine for a container that joins nobody."""
    return _gathered(engine.cgroups.version)


def host_name() -> str:
    """The host's name at this moment."""
    return socket.gethostname()
