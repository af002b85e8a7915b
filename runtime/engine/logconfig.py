"""What a container's `LogConfig` asks of the shim's log.

Logs are always files in the json-file form, for `logs` reads them. Drivers of Docker that send logs elsewhere are taken
for it, so that a stack written for them starts; a driver or an option that nobody knows is a mistake and refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.wire.containers import LogConfig

DEFAULT_MAX_SIZE: Final = 100 << 20
DEFAULT_MAX_FILE: Final = 5
"""Docker's own default grows without bound."""
ELSEWHERE: Final = frozenset({"awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog"})
_SHARED: Final = frozenset({"mode", "max-buffer-size", "max-size", "max-file", "compress"})
_OPTIONS: Final = {
    "json-file": _SHARED | {"env", "env-regex", "labels", "labels-regex", "tag"},
    "local": _SHARED,
}
_UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def check(config: LogConfig) -> None:
    """Refuse an unknown driver, an unknown option and a malformed size or number; raises InvalidParameter."""
    driver = config.get("Type") or "json-file"
    if driver == "none" or driver in ELSEWHERE:
        return
    if driver not in _OPTIONS:
        raise InvalidParameter(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    for option in config.get("Config") or {}:
        if option not in _OPTIONS[driver]:
            raise InvalidParameter(f"unknown log opt '{option}' for {driver} log driver")
    settings(config, "")


def settings(config: LogConfig, path: str) -> dict[str, Any] | None:
    """Where the shim writes the log (`path`) and when it turns it over; None for the driver `none`.

    Raises InvalidParameter for a malformed size or number.
    """
    if config.get("Type") == "none":
        return None
    options = config.get("Config") or {}
    limited = "max-size" in options
    return {
        "path": path,
        "max_size": _size(options["max-size"]) if limited else DEFAULT_MAX_SIZE,
        "max_file": _count(options.get("max-file", str(1 if limited else DEFAULT_MAX_FILE))),
    }


def _size(text: str) -> int:
    lowered = text.strip().lower()
    if lowered == "-1":
        return -1
    lowered = lowered.removesuffix("b")
    unit = _UNITS.get(lowered[-1:], 1)
    digits = lowered[:-1] if lowered[-1:] in _UNITS else lowered
    try:
        size = int(float(digits) * unit)
    except (ValueError, OverflowError):
        raise InvalidParameter(f"logging option max-size: invalid size: '{text}'") from None
    if size <= 0:
        raise InvalidParameter(f"logging option max-size: '{text}' is not above zero, -1 is no limit")
    return size


def _count(text: str) -> int:
    if not text.isdecimal():
        raise InvalidParameter(f"logging option max-file: '{text}' is no number")
    if int(text) < 1:
        raise InvalidParameter("logging option max-file: max-file cannot be less than 1")
    return int(text)
