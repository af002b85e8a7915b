"""The log file rotates between records, loses nothing in doing so, and survives a full disk."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from runtime.shim.logfile import LogFile


def numbered(count, width=20):
    return [f"{number:0{width - 1}d}\n".encode() for number in range(count)]


def test_without_a_limit_everything_goes_into_one_file(tmp_path):
    log = LogFile(str(tmp_path / "log"))
    for line in numbered(100):
        log.write(line)
    log.close()
    assert (tmp_path / "log").read_bytes() == b"".join(numbered(100))
    assert os.listdir(tmp_path) == ["log"]


@pytest.mark.parametrize("block", [1, 3, 50])
def test_rotation_keeps_the_youngest_records_whole_and_in_order(tmp_path, block):
    log = LogFile(str(tmp_path / "log"), max_size=100, max_file=3)
    lines = numbered(50)
    for start in range(0, 50, block):
        log.write(b"".join(lines[start : start + block]))
    log.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    kept = b"".join((tmp_path / name).read_bytes() for name in ("log.2", "log.1", "log"))
    assert kept == b"".join(lines[-(len(kept) // 20) :])
    assert len(kept) >= 200
    assert all((tmp_path / name).stat().st_size <= 100 for name in os.listdir(tmp_path))


def test_with_one_file_the_log_is_truncated(tmp_path):
    log = LogFile(str(tmp_path / "log"), max_size=100, max_file=1)
    log.write(b"".join(numbered(12)))
    log.close()
    assert os.listdir(tmp_path) == ["log"]
    assert (tmp_path / "log").read_bytes() == b"".join(numbered(12)[10:])


def test_a_record_above_the_limit_goes_in_whole(tmp_path):
    log = LogFile(str(tmp_path / "log"), max_size=10, max_file=2)
    log.write(b"a\n")
    log.write(b"x" * 50 + b"\n")
    log.write(b"b\n")
    log.close()
    assert (tmp_path / "log.1").read_bytes() == b"x" * 50 + b"\n"
    assert (tmp_path / "log").read_bytes() == b"b\n"


def test_an_existing_file_is_continued_and_counts(tmp_path):
    (tmp_path / "log").write_bytes(b"y" * 95 + b"\n")
    log = LogFile(str(tmp_path / "log"), max_size=100, max_file=2)
    log.write(b"12345\n")
    log.close()
    assert (tmp_path / "log.1").stat().st_size == 96
    assert (tmp_path / "log").read_bytes() == b"12345\n"


def test_a_write_that_fails_half_way_leaves_no_torn_record(tmp_path):
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            log = LogFile(str(tmp_path / "log"))
            log.write(b"whole\n")
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            log.write(b"this does not fit\n")
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
            log.write(b"again\n")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "log").read_bytes() == b"whole\nagain\n"


def test_a_write_that_fails_after_a_rotation_that_failed_takes_no_older_record_away(tmp_path):
    (tmp_path / "log.1").mkdir()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            log = LogFile(str(tmp_path / "log"), max_size=8, max_file=2)
            log.write(b"oldest\n")
            log.write(b"newer\n")  # log.1 is a directory: no rotation
            resource.setrlimit(resource.RLIMIT_FSIZE, (15, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            log.write(b"no room\n")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "log").read_bytes() == b"oldest\nnewer\n"
