"""Configuration hashes, bit for bit those of Docker Compose, so that either program recognises the other's containers.

They are taken over the JSON text that Go makes of the service: keys in the order of the classes, maps sorted, `<>&`
escaped. What may change without a new container is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from compose.model.formats import json_float
from compose.model.marshal import record_tree

if TYPE_CHECKING:
    from compose.model.network import NetworkConfig
    from compose.model.service import ServiceConfig
    from compose.model.volume import VolumeConfig

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x7f": "\x7f"}
)
_TINY = re.compile(r"""(?<=[^\\]":)\d+(\.\d+)?e-\d+(?=[,}])""")
"""A float that Python writes in another way than Go; a quote within a text has a backslash before it."""


def service_hash(service: ServiceConfig) -> str:
    """The hash of a service, 64 hexadecimal digits."""
    deploy = service.deploy.replace(replicas=None) if service.deploy is not None else None
    bare = service.replace(build=None, pull_policy="", scale=None, deploy=deploy, depends_on={}, profiles=())
    return _digest(record_tree(bare, json=True))


def network_hash(network: NetworkConfig) -> str:
    """The hash of a network."""
    return _digest(record_tree(network, json=True))


def volume_hash(volume: VolumeConfig) -> str:
    """The hash of a volume; no driver is the local one."""
    return _digest(record_tree(volume.replace(driver=volume.driver or "local"), json=True))


def _digest(tree: Any) -> str:
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    if "e-" in text:
        text = _TINY.sub(lambda match: json_float(float(match[0])), text)
    text = text.translate(_ESCAPES)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
