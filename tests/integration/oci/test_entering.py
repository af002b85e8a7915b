"""Exec into a container, pid 1 of ours, namespaces of others, user namespaces, hooks."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.ocibundle import Bundle

pytestmark = pytest.mark.root


def process(text: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = shell(text)["process"] | changes
    return made


def entered(bundle: Bundle, *processes: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    answer = bundle.run(make_spec("sleep", "60"), execs=list(processes), signal=9, **request)
    assert "error" not in answer, answer
    found: list[dict[str, Any]] = answer["execs"]
    return found


def test_an_exec_is_in_all_namespaces_with_the_same_posture(bundle: Bundle) -> None:
    script = "for n in mnt net uts ipc pid; do readlink /proc/self/ns/$n /proc/1/ns/$n; done"
    status = "grep -E 'Cap|NoNew' /proc/self/status; ls /proc/self/fd; umask; pwd"
    first, second = entered(bundle, process(script), process(status), leaks=10)
    links = first["stdout"].split()
    assert links[::2] == links[1::2]
    lines = second["stdout"].split()
    assert lines.count("00000000a80425fb") == 3
    assert lines[-6:] == ["0", "1", "2", "3", "0022", "/"]


def test_an_exec_is_in_the_cgroup_and_gone_from_it_afterwards(bundle: Bundle) -> None:
    name = f"pycompose-test-{os.getpid()}"
    (answer,) = entered(bundle, process("cat /proc/self/cgroup"), cgroup=name)
    assert f"/{name}" in answer["stdout"]


def test_the_filter_of_the_container_is_also_an_execs(bundle: Bundle) -> None:
    spec = make_spec("sleep", "60")
    spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}],
    }
    answer = bundle.run(spec, execs=[process("mkdir /x; grep Seccomp: /proc/self/status")], signal=9)
    (inside,) = answer["execs"]
    assert "Resource temporarily unavailable" in inside["stderr"]
    assert inside["stdout"].split() == ["Seccomp:", "2"]


def test_exec_users_directories_and_errors(bundle: Bundle) -> None:
    answers = entered(
        bundle,
        process("id -u; pwd", **{"x-user": "app", "cwd": "/etc"}),
        process("id", **{"x-user": "nosuch"}),
        process("true", cwd="/no/such"),
        process("true", args=["nosuch"]),
        process("true", args=["/etc"]),
        process("exit 9"),
    )
    assert answers[0]["stdout"].split() == ["2000", "/etc"]
    assert "unable to find user nosuch" in answers[1]["error"]["message"]
    assert "no such file or directory" in answers[2]["error"]["message"]
    assert [answer.get("error", {}).get("exit_code") for answer in answers[3:5]] == [127, 126]
    assert answers[5]["exit_code"] == 9


def test_an_exec_with_a_terminal_has_one_of_the_containers(bundle: Bundle) -> None:
    (answer,) = entered(
        bundle, process("tty; stty size", terminal=True, consoleSize={"height": 10, "width": 20}, **{"x-user": "app"})
    )
    assert answer["stdout"].split() == ["/dev/pts/0", "10", "20"]


def test_the_creator_is_back_in_its_own_pid_namespace(bundle: Bundle) -> None:
    answers = bundle.run_often(make_spec("sleep", "60"), execs=[process("true")], signal=9, repeat=3)
    assert len({answer["own_namespaces"]["pid"] for answer in answers}) == 1
    assert all(answer["own_namespaces"]["pid_for_children"] == answer["own_namespaces"]["pid"] for answer in answers)


def test_init_forwards_signals_and_gives_the_commands_exit_code(bundle: Bundle) -> None:
    spec = {**shell("trap 'echo got; exit 7' TERM; while :; do sleep 0.05; done"), "x-init": True}
    answer = bundle.run(spec, signal=15, delay=0.3)
    assert (answer["stdout"], answer["exit_code"]) == ("got\n", 7)


def test_init_reaps_orphans_and_is_not_the_command(bundle: Bundle) -> None:
    spec = shell("echo $$; (sleep 0.05 & ) ; sleep 0.3; grep -l zombie /proc/[0-9]*/status; cat /proc/1/comm")
    assert bundle.output({**spec, "x-init": True}).split() == ["2", "init"]


def test_init_gives_128_and_the_signal(bundle: Bundle) -> None:
    assert bundle.run({**shell("kill -9 $$"), "x-init": True})["exit_code"] == 137


def test_init_with_a_terminal_leaves_it_to_the_command(bundle: Bundle) -> None:
    spec = {**shell("read line < /dev/null; stty -a > /dev/null && echo foreground"), "x-init": True}
    spec["process"]["terminal"] = True
    assert bundle.output(spec).strip() == "foreground"


def test_a_network_namespace_is_joined_by_path(bundle: Bundle) -> None:
    holder = subprocess.Popen(["unshare", "-n", "sleep", "60"])
    try:
        for _ in range(1000):
            if os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"):
                break
        spec = shell("readlink /proc/self/ns/net")
        spec["linux"]["namespaces"][1]["path"] = f"/proc/{holder.pid}/ns/net"
        assert bundle.output(spec).strip() == os.readlink(f"/proc/{holder.pid}/ns/net")
    finally:
        holder.kill()
        holder.wait()


def test_the_pid_namespace_of_another_is_joined_by_path(bundle: Bundle) -> None:
    holder = subprocess.Popen(["unshare", "-p", "-f", "--kill-child", "sleep", "60"])
    try:
        path = f"/proc/{holder.pid}/ns/pid_for_children"
        for _ in range(100000):
            try:
                if os.readlink(path) != os.readlink("/proc/self/ns/pid"):
                    break
            except FileNotFoundError:
                continue
        spec = shell("cat /proc/1/comm")
        spec["linux"]["namespaces"][0]["path"] = path
        assert bundle.output(spec) == "sleep\n"
    finally:
        holder.kill()
        holder.wait()


def test_the_hosts_namespaces_are_kept_where_none_is_asked_for(bundle: Bundle) -> None:
    spec = shell("readlink /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/ipc; hostname")
    spec["linux"]["namespaces"] = [{"type": "mount"}]
    del spec["hostname"]
    answer = bundle.run(spec)
    assert answer["stdout"].split() == [
        *(answer["own_namespaces"][kind] for kind in ("net", "pid", "ipc")),
        os.uname().nodename,
    ], answer


def test_a_namespace_that_is_not_there_is_named(bundle: Bundle) -> None:
    spec = make_spec("true")
    spec["linux"]["namespaces"][1]["path"] = "/no/such"
    error = bundle.run(spec)["error"]
    assert (error["kind"], error["message"]) == ("NotFound", "namespace net: /no/such: no such file or directory")


def test_a_user_namespace_maps_the_root_of_the_container(bundle: Bundle) -> None:
    for name in ("proc", "sys", "dev", "usr"):
        (bundle.rootfs / name).mkdir()
    spec = shell(
        "id -u; cat /proc/self/uid_map; ls -ln /dev/null /dev/tty | cut -d' ' -f1; cat /proc/self/setgroups; id -u"
    )
    spec["linux"]["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    answer = bundle.run(spec, execs=[], userns=True)
    assert answer.get("exit_code") == 0, answer
    assert answer["stdout"].split()[:4] == ["0", "0", "100000", "65536"]
    assert answer["stdout"].split()[4].startswith("crw-rw-rw-")


def test_an_exec_enters_a_user_namespace_too(bundle: Bundle) -> None:
    for name in ("proc", "sys", "dev", "usr"):
        (bundle.rootfs / name).mkdir()
    spec = make_spec("sleep", "60")
    spec["linux"]["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    answer = bundle.run(spec, execs=[process("id -u; cut -c1-22 /proc/self/uid_map")], signal=9, userns=True)
    assert "error" not in answer, answer
    assert answer["execs"][0]["stdout"].split() == ["0", "0", "100000"], answer


def test_clocks_are_shifted_in_a_time_namespace(bundle: Bundle) -> None:
    spec = shell("cut -d. -f1 /proc/uptime")
    spec["linux"]["namespaces"].append({"type": "time"})
    spec["linux"]["timeOffsets"] = {"boottime": {"secs": 10_000_000}}
    assert int(bundle.output(spec)) > 10_000_000


def test_an_idmapped_volume_shows_the_mapped_owner(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spec = shell("stat -c %u /data/file")
    mapping = [{"containerID": 0, "hostID": 4242, "size": 1}]
    spec["mounts"].append(
        {
            "destination": "/data",
            "type": "bind",
            "source": str(tmp_path),
            "options": ["rbind"],
            "uidMappings": mapping,
            "gidMappings": mapping,
        }
    )
    answer = bundle.run(spec)
    if "mount_setattr" in answer.get("error", {}).get("message", ""):
        pytest.skip("the file system of the temporary directory cannot be idmapped")
    assert answer["stdout"].strip() == "4242"


def test_hooks_run_in_order_and_where_they_belong(bundle: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def hook(stage: str) -> list[dict[str, Any]]:
        text = f"read state; echo {stage} $(readlink /proc/self/ns/net) $state >> {log}"
        return [{"path": "/bin/sh", "args": ["sh", "-c", text]}]

    spec = shell("cat /from-the-hook")
    spec["hooks"] = {stage: hook(stage) for stage in ("prestart", "createRuntime", "createContainer", "poststart")}
    spec["hooks"]["startContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", "pwd > /from-the-hook; hostname >> /from-the-hook"]}
    ]
    answer = bundle.run(spec)
    assert answer["stdout"].split() == ["/", "box"], answer
    rows = [line.split(maxsplit=2) for line in log.read_text().splitlines()]
    assert [row[0] for row in rows] == ["prestart", "createRuntime", "createContainer", "poststart"]
    own = answer["own_namespaces"]["net"]
    assert [row[1] == own for row in rows] == [True, True, False, True]
    states = [json.loads(row[2]) for row in rows]
    assert [state["status"] for state in states] == ["creating", "creating", "creating", "running"]
    assert states[0]["pid"] == answer["created"]["pid"]


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_hook_that_fails_ends_the_start(bundle: Bundle, stage: str) -> None:
    spec = make_spec("true")
    spec["hooks"] = {stage: [{"path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 5"]}]}
    error = bundle.run(spec)["error"]
    assert error["message"] == f"hook {stage} /bin/sh: ended with status 5: no"
