"""What `stats` prints: the strings of Docker Compose 2.40.3."""

from __future__ import annotations

from typing import Any

import pytest

from compose.cli.render import stats_format

ID = "4f77894487af7700afc3948b307351c1ba2efdd76b2288e30f2817d80993d6ad"


def reading(**said: Any) -> dict[str, Any]:
    counters = dict.fromkeys(
        ("Clock", "CPU", "Memory", "MemoryLimit", "Received", "Sent", "BlockRead", "BlockWritten", "Pids"), 0
    )
    return {"Id": ID, "Name": "opspeer-a-1", **counters, **said}


def test_the_table_is_compose_s() -> None:
    now = reading(Clock=10**9, Memory=740 * 1024, MemoryLimit=25275878400, Received=572, Pids=2)
    assert stats_format.render([stats_format.row(reading(), now)], "") == (
        "CONTAINER ID   NAME          CPU %     MEM USAGE / LIMIT   MEM %     NET I/O     BLOCK I/O   PIDS\n"
        "4f77894487af   opspeer-a-1   0.00%     740KiB / 23.54GiB   0.00%     572B / 0B   0B / 0B     2\n"
    )


def test_nothing_to_show_is_a_header() -> None:
    assert stats_format.render([], "table") == (
        "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O   BLOCK I/O   PIDS\n"
    )


def test_json_is_compose_s() -> None:
    now = reading(Clock=10**9, CPU=10**5, Memory=740 * 1024, MemoryLimit=25275878400, Received=1040, Pids=2)
    assert stats_format.render([stats_format.row(reading(), now)], "json") == (
        '{"BlockIO":"0B / 0B","CPUPerc":"0.01%","Container":"' + ID + '","ID":"4f77894487af","MemPerc":"0.00%",'
        '"MemUsage":"740KiB / 23.54GiB","Name":"opspeer-a-1","NetIO":"1.04kB / 0B","PIDs":"2"}\n'
    )


@pytest.mark.parametrize(("cpu", "percent"), [(0, 0.0), (10**9, 100.0), (4 * 10**9, 400.0), (-5, 0.0)])
def test_a_rate_is_of_one_processor(cpu: int, percent: float) -> None:
    assert stats_format.cpu_percent(reading(), reading(Clock=10**9, CPU=cpu)) == percent


def test_a_first_reading_has_no_rate() -> None:
    assert stats_format.row(None, reading())["CPUPerc"] == "--"
