"""What a container is given: user, environment, limits, walls."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.kit.rootfs import tiny_rootfs
from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


def test_process_settings(stack: Stack) -> None:
    stack.compose("""
        services:
          a:
            image: localhost/host
            entrypoint: ["sh", "-c"]
            command: ["exec sleep 1000"]
            user: "1000:1001"
            working_dir: /made/here
            environment: {PLAIN: value, EMPTY: ""}
            hostname: box
            ulimits: {nofile: {soft: 512, hard: 1024}}
            group_add: ["44"]
            stop_grace_period: 100ms
    """)
    stack.run("up", "-d")
    out = stack.exec("a", "sh", "-c", 'id -u; id -g; id -G; pwd; hostname; ulimit -n; echo "$PLAIN[$EMPTY]"').lines
    assert out == ["1000", "1001", "1001 44", "/made/here", "box", "512", "value[]"]


def test_limits_are_in_force(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, cpus: 0.5, mem_limit: 64m, pids_limit: 50}
    """)
    stack.run("up", "-d")
    pid = stack.inspect("a-1")["State"]["Pid"]
    groups = {}
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as stream:
        for line in stream:
            _, controllers, path = line.strip().split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))

    def value(controller: str, name: str) -> str:
        with open(f"/sys/fs/cgroup/{controller}{groups[controller]}/{name}", encoding="ascii") as stream:
            return stream.read().strip()

    assert value("memory", "memory.limit_in_bytes") == str(64 << 20)
    assert value("cpu", "cpu.cfs_quota_us") == "50000"
    assert value("pids", "pids.max") == "50"


@pytest.mark.ours
def test_the_default_walls_stand(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true}
          b: {image: localhost/host, command: sleep 1000, init: true, cap_drop: [ALL], cap_add: [CHOWN], security_opt: ["no-new-privileges:true"]}
    """)
    stack.run("up", "-d")
    status = dict(line.split(":\t", 1) for line in stack.exec("a", "cat", "/proc/self/status").lines if ":\t" in line)
    assert (status["CapEff"], status["CapBnd"], status["CapInh"], status["CapAmb"]) == (
        "00000000a80425fb", "00000000a80425fb", "0000000000000000", "0000000000000000",
    )  # fmt: skip
    assert status["Seccomp"] == "2"
    first = dict(line.split(":\t", 1) for line in stack.exec("a", "cat", "/proc/1/status").lines if ":\t" in line)
    assert (status["SigIgn"], first["SigIgn"]) == ("0" * 16, "0" * 16)
    other = dict(line.split(":\t", 1) for line in stack.exec("b", "cat", "/proc/self/status").lines if ":\t" in line)
    assert (other["CapEff"], other["NoNewPrivs"]) == ("0000000000000001", "1")
    first = stack.exec("a", "cat", "/proc/1/comm").out.strip()
    assert first
    assert stack.exec("a", "sh", "-c", "ls /proc | grep -c '^[0-9]'").out.strip() in {"3", "4", "5"}
    assert stack.exec("a", "sh", "-c", "cat /proc/kcore /proc/keys 2>/dev/null | wc -c").out.strip() == "0"
    assert stack.exec("a", "sh", "-c", "echo 1 > /proc/sys/kernel/panic", ok=False).code != 0
    assert stack.exec("a", "mount", "-t", "tmpfs", "none", "/mnt", ok=False).code != 0
    assert stack.exec("a", "unshare", "-m", "true", ok=False).code != 0
    assert stack.exec("a", "sh", "-c", "ls -l /proc/self/fd | wc -l").out.strip() == "5"
    assert (
        not stack.exec("a", "sh", "-c", "ls /root /home 2>/dev/null")
        .out.strip()
        .replace("/home:", "")
        .replace("/root:", "")
        .strip()
    )


def test_init_reaps_and_forwards(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sh -c "trap 'exit 9' TERM; (sleep 0.05 &) ; while :; do sleep 0.02; done", init: true}
    """)
    stack.run("up", "-d")
    poll(
        lambda: "Z" not in stack.exec("a", "sh", "-c", "cat /proc/[0-9]*/stat | cut -d' ' -f3").out.split(),
        what="no zombies",
    )
    stack.run("stop")
    assert stack.inspect("a-1")["State"]["ExitCode"] == 9


@pytest.mark.ours
def test_an_imported_image_brings_its_configuration(stack: Stack) -> None:
    rootfs = stack.folder / "rootfs"
    shutil.copytree(tiny_rootfs(), rootfs, symlinks=True)
    (rootfs / "greeting").write_text("from the image\n")
    stack.run("image", "import", "--change", 'CMD ["cat", "/greeting"]', "--change", "ENV A=b", str(rootfs), "tiny:1")
    assert "tiny" in stack.run("image", "ls").out
    stack.compose("services: {a: {image: 'tiny:1'}}")
    stack.run("up", "-d")
    poll(lambda: stack.inspect("a-1")["State"]["Status"] == "exited")
    assert stack.run("logs", "--no-log-prefix").out == "from the image\n"
