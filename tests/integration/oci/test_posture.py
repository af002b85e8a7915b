"""What a process in a container sees and may do by default, row by row of Docker's posture."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.oci import capabilities, seccomp, seccomp_profile
from tests.kit.ocibundle import make_spec, shell

if TYPE_CHECKING:
    from tests.kit.ocibundle import Bundle

pytestmark = pytest.mark.root


def status(bundle: Bundle, spec: dict[str, Any]) -> dict[str, str]:
    text = bundle.output(spec)
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def of_status(**process: Any) -> dict[str, Any]:
    return make_spec("cat", "/proc/self/status", **process)


def filtered(spec: dict[str, Any]) -> dict[str, Any]:
    import base64

    program = seccomp.compile(seccomp_profile.default_profile(), frozenset(capabilities.DEFAULT))
    spec["x-seccomp"] = base64.b64encode(program).decode()
    return spec


def test_root_has_dockers_fourteen_capabilities(bundle: Bundle) -> None:
    found = status(bundle, of_status())
    assert found["CapPrm"] == found["CapEff"] == found["CapBnd"] == "00000000a80425fb"
    assert found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert found["NoNewPrivs"] == "0"


def test_another_user_has_none_and_keeps_the_bounding_set(bundle: Bundle) -> None:
    spec = of_status()
    spec["process"]["x-user"] = "1000"
    spec["process"]["capabilities"] = capabilities.sets([*capabilities.DEFAULT, "CAP_NET_ADMIN"])
    found = status(bundle, spec)
    assert found["CapPrm"] == found["CapEff"] == found["CapInh"] == found["CapAmb"] == "0000000000000000"
    assert found["CapBnd"] == "00000000a80435fb"
    assert found["Uid"].split() == ["1000"] * 4


def test_privileged_gets_what_the_machine_can_grant(bundle: Bundle) -> None:
    found = status(bundle, of_status(capabilities=capabilities.sets(capabilities.NAMES)))
    own = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if "Cap" in line)
    assert found["CapEff"] == own["CapBnd"]


def test_the_filter_is_installed_with_and_without_no_new_privs(bundle: Bundle) -> None:
    plain = status(bundle, filtered(of_status()))
    assert (plain["Seccomp"], plain["NoNewPrivs"]) == ("2", "0")
    strict = status(bundle, filtered(of_status(noNewPrivileges=True)))
    assert (strict["Seccomp"], strict["NoNewPrivs"]) == ("2", "1")
    assert status(bundle, of_status())["Seccomp"] == "0"


def test_namespaces_are_the_containers_own(bundle: Bundle) -> None:
    answer = bundle.run(shell("for n in mnt net uts ipc pid user; do readlink /proc/self/ns/$n; done; hostname"))
    *found, hostname = answer["stdout"].split()
    own = answer["own_namespaces"]
    for link in found:
        kind = link.partition(":")[0]
        assert (link == own[kind]) == (kind == "user"), link
    assert hostname == "box"


def test_it_is_process_one_of_its_own_procfs(bundle: Bundle) -> None:
    # counted by the shell itself: two programs of a pipe see each other or not, as it happens
    told = bundle.output(shell("echo $$; set -- /proc/[0-9]*; echo $# $1; readlink /proc/self; :"))
    assert told.split() == ["1", "1", "/proc/1", "2"]


def test_the_mount_table_is_dockers(bundle: Bundle) -> None:
    lines = [line.split() for line in bundle.output(shell("cat /proc/self/mountinfo")).splitlines()]
    table = {fields[4]: (set(fields[5].split(",")), fields[fields.index("-") + 1 :]) for fields in lines}
    safe = {"nosuid", "nodev", "noexec"}
    assert table["/proc"][0] >= safe
    assert table["/proc"][1][:2] == ["proc", "proc"]
    assert table["/sys"][0] >= safe | {"ro"}
    assert table["/sys/fs/cgroup"][0] >= safe | {"ro"}
    assert table["/dev"][0] >= {"nosuid", "rw"}
    assert "size=65536k,mode=755" in table["/dev"][1][2]
    assert "gid=5,mode=620,ptmxmode=666" in table["/dev/pts"][1][2]
    assert table["/dev/mqueue"][0] >= safe
    assert table["/dev/shm"][0] >= safe
    for path in ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"):
        assert table[path][0] >= safe | {"ro"}, path
    assert not any("shared:" in " ".join(fields) for fields in lines)


def test_masked_paths_are_empty_and_protected_ones_read_only(bundle: Bundle) -> None:
    text = bundle.output(
        shell(
            "for f in kcore keys timer_list interrupts sched_debug; do [ -e /proc/$f ] && wc -c < /proc/$f; done;"
            "for d in /proc/acpi /proc/scsi /proc/asound /sys/firmware; do [ -d $d ] && ls -A $d | wc -l; done;"
            "touch /sys/firmware/x 2>&1; echo 1 2>&1 > /proc/sys/kernel/shmmax; echo x 2>&1 > /proc/sysrq-trigger; :"
        )
    )
    counts, complaints = re.findall(r"^\d+$", text, re.MULTILINE), re.findall("Read-only|directory", text)
    assert set(counts) == {"0"}
    assert complaints


def test_dev_holds_the_six_devices_and_five_links(bundle: Bundle) -> None:
    rows = bundle.output(shell("cd /dev; stat -c '%n %A %t:%T %U:%G' null zero full random urandom tty; ls -A"))
    lines = rows.splitlines()
    assert lines[:6] == [
        f"{name} crw-rw-rw- {number} root:root"
        for name, number in zip(
            ("null", "zero", "full", "random", "urandom", "tty"),
            ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0"),
            strict=True,
        )
    ]
    assert sorted(lines[6:]) == sorted(
        "null zero full random urandom tty fd stdin stdout stderr ptmx pts shm mqueue".split()
    )


def test_only_stdio_is_open_whatever_the_creator_holds(bundle: Bundle) -> None:
    spec = make_spec("/bin/sh", "-c", "ls /proc/self/fd; readlink /proc/self/fd/0")
    assert bundle.output(spec, leaks=20).split() == ["0", "1", "2", "3", "/dev/null"]
    assert bundle.output({**spec, "x-init": True}, leaks=20).split() == ["0", "1", "2", "3", "/dev/null"]


def test_environment_umask_directory_and_home(bundle: Bundle) -> None:
    spec = make_spec("/usr/bin/env", "-u", "NOTHING", "/bin/sh", "-c", "umask; pwd; /usr/bin/env", cwd="/made/for/it")
    spec["process"]["env"] += ["ODD=a b\nc", "EMPTY="]
    spec["process"]["x-user"] = "app"
    lines = bundle.output(spec).splitlines()
    assert lines[:2] == ["0022", "/made/for/it"]
    assert {"HOME=/home/app", "ODD=a b", "c", "EMPTY="} <= set(lines)
    made = (bundle.rootfs / "made/for/it").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (0, 0o755)


def test_signals_have_their_default_actions(bundle: Bundle) -> None:
    found = status(bundle, of_status())
    assert int(found["SigIgn"], 16) == int(found["SigBlk"], 16) == int(found["SigCgt"], 16) == 0


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("", [], "uid=0(root) gid=0(root) groups=0(root)"),
        ("app", [], "uid=2000(app) gid=10(wheel) groups=10(wheel),3000(extra)"),
        ("app:wheel", [], "uid=2000(app) gid=10(wheel) groups=10(wheel)"),
        ("2000", ["77"], "uid=2000(app) gid=10(wheel) groups=10(wheel),77,3000(extra)"),
        ("4711", [], "uid=4711 gid=0(root) groups=0(root)"),
        (":5", [], "uid=0(root) gid=5 groups=5"),
    ],
)
def test_users_are_looked_up_in_the_image(bundle: Bundle, user: str, groups: list[str], expected: str) -> None:
    spec = make_spec("id", **{"x-user": user, "x-groups": groups})
    assert sorted(re.split("[ ,=]", bundle.output(spec).strip())) == sorted(re.split("[ ,=]", expected))


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("app:nosuch", "unable to find group nosuch"),
        ("4294967296", "uids and gids must be in range"),
    ],
)
def test_an_unknown_user_is_an_error_before_the_start(bundle: Bundle, user: str, message: str) -> None:
    answer = bundle.run(make_spec("id", **{"x-user": user}))
    assert message in answer["error"]["message"]
    assert (answer["error"]["kind"], answer["error"]["exit_code"]) == ("InvalidParameter", 125)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (["/etc"], 126, 'exec: "/etc": is a directory: permission denied'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (
            ["/script"],
            127,
            'exec: "/script": no such file or directory: its interpreter /no/interpreter is not in the image',
        ),
        (["/garbage"], 126, 'exec: "/garbage": exec format error'),
    ],
)
@pytest.mark.parametrize("with_init", [False, True])
def test_what_cannot_be_executed(bundle: Bundle, args: list[str], code: int, message: str, *, with_init: bool) -> None:
    for name, text in (("script", "#!/no/interpreter\n"), ("garbage", "\0\1\2\3 no program")):
        (bundle.rootfs / name).write_text(text)
        (bundle.rootfs / name).chmod(0o755)
    answer = bundle.run({**make_spec(*args), "x-init": with_init})
    assert answer["error"]["message"] == message
    assert answer["error"]["exit_code"] == code


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$; exit 3", 3)])
def test_exit_codes_are_the_programs(bundle: Bundle, text: str, code: int) -> None:
    assert bundle.run(shell(text))["exit_code"] == code


def test_a_signal_from_outside_is_128_and_its_number(bundle: Bundle) -> None:
    assert bundle.run(make_spec("sleep", "60"), signal=9)["exit_code"] == 137


def test_limits_and_oom_score(bundle: Bundle) -> None:
    spec = shell("ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj", oomScoreAdj=321)
    spec["process"]["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    assert bundle.output(spec).split() == ["100", "200", "0", "321"]


def test_a_container_cannot_make_namespaces_or_mounts(bundle: Bundle) -> None:
    answer = bundle.run(
        filtered(shell("unshare -U true; echo $?; unshare -n true; echo $?; mount -t tmpfs x /etc; echo $?"))
    )
    assert answer["stdout"].split() == ["1", "1", "32"], answer


def test_sysctls_are_written_into_the_containers_namespaces(bundle: Bundle) -> None:
    spec = shell("cd /proc/sys; cat net/ipv4/ip_unprivileged_port_start kernel/shmmni kernel/domainname")
    spec["linux"]["sysctl"] = {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "kernel.shmmni": "77",
        "kernel/domainname": "example.org",
    }
    before = Path("/proc/sys/kernel/shmmni").read_text()
    assert bundle.output(spec).split() == ["0", "77", "example.org"]
    assert Path("/proc/sys/kernel/shmmni").read_text() == before


def test_a_read_only_root_is_read_only_and_dev_is_not(bundle: Bundle) -> None:
    spec = shell("touch /x; touch /dev/shm/y && rm /dev/shm/y && echo writable")
    spec["root"]["readonly"] = True
    answer = bundle.run(spec)
    assert "Read-only file system" in answer["stderr"]
    assert answer["stdout"] == "writable\n"


def test_a_terminal_is_the_controlling_one_and_the_console(bundle: Bundle) -> None:
    spec = shell("tty; stty size; stat -c '%t %a %g' /dev/console; echo through > /dev/console; echo also > /dev/tty")
    spec["process"] |= {"terminal": True, "consoleSize": {"height": 24, "width": 81}}
    assert bundle.output(spec).split() == ["/dev/pts/0", "24", "81", "88", "620", "5", "through", "also"]


def test_the_user_owns_the_terminal_and_may_reopen_stdout(bundle: Bundle) -> None:
    spec = shell("stat -L -c %u /dev/stdout; echo again > /dev/stdout")
    spec["process"] |= {"terminal": True, "x-user": "2000"}
    assert bundle.output(spec).split() == ["2000", "again"]
    assert bundle.output(shell("echo again > /dev/stderr", **{"x-user": "2000"})) == ""


def test_the_cgroup_is_joined_and_shown_read_only(bundle: Bundle) -> None:
    name = f"pycompose-test-{os.getpid()}"
    spec = shell("cat /proc/self/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs; mkdir /sys/fs/cgroup/pids/x")
    spec["linux"]["resources"] = {"pids": {"limit": 33}}
    answer = bundle.run(spec, cgroup=name)
    if "pids:" not in answer["stdout"]:
        pytest.skip("no cgroup v1 here")
    assert f"pids:/{name}" in answer["stdout"]
    assert "\n1\n" in answer["stdout"]
    assert "Read-only file system" in answer["stderr"]


def test_a_private_cgroup_namespace_has_the_container_as_its_root(bundle: Bundle) -> None:
    spec = shell("cat /proc/self/cgroup")
    spec["linux"]["namespaces"].append({"type": "cgroup"})
    text = bundle.output(spec, cgroup=f"pycompose-test-{os.getpid()}")
    assert all(line.endswith(":/") for line in text.splitlines()), text
