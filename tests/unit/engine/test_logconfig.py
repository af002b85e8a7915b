"""Logging options are checked when a container is created, and mean what Docker's mean."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.engine import logconfig
from runtime.errors import InvalidParameter


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Type": "nosuch"}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        ({"Config": {"nosuch": "x"}}, "unknown log opt 'nosuch' for json-file log driver"),
        ({"Type": "local", "Config": {"tag": "x"}}, "unknown log opt 'tag' for local log driver"),
        ({"Config": {"max-size": "x"}}, "logging option max-size: invalid size: 'x'"),
        ({"Config": {"max-size": "0"}}, "logging option max-size: '0' is not above zero, -1 is no limit"),
        ({"Config": {"max-file": "0"}}, "logging option max-file: max-file cannot be less than 1"),
        ({"Config": {"max-file": "x"}}, "logging option max-file: 'x' is no number"),
    ],
)
def test_a_mistake_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        logconfig.check(config)  # type: ignore[arg-type]
    assert caught.value.message == message


@pytest.mark.parametrize("driver", ["", "json-file", "local", "none", "syslog", "journald", "fluentd"])
def test_a_driver_of_docker_s_is_taken(driver: str) -> None:
    logconfig.check({"Type": driver})


@pytest.mark.parametrize(
    ("options", "size", "files"),
    [
        ({}, 100 << 20, 5),
        ({"max-size": "10m"}, 10 << 20, 1),
        ({"max-size": "1.5k", "max-file": "3"}, 1536, 3),
        ({"max-size": "-1"}, -1, 1),
        ({"max-file": "2"}, 100 << 20, 2),
        ({"max-size": "20kb", "labels": "a", "tag": "{{.Name}}"}, 20 << 10, 1),
    ],
)
def test_sizes_and_numbers(options: dict[str, str], size: int, files: int) -> None:
    logconfig.check({"Config": options})
    assert logconfig.settings({"Config": options}, "/log") == {"path": "/log", "max_size": size, "max_file": files}


def test_the_driver_none_keeps_no_log() -> None:
    assert logconfig.settings({"Type": "none"}, "/log") is None
