"""A record in Docker's terms becomes an OCI runtime spec: Docker's posture by default, its refusals in its words."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from runtime.errors import InvalidParameter, NotSupported
from runtime.oci import seccomp, spec
from runtime.oci.capabilities import ALL, DEFAULT, mask
from runtime.oci.spec import SpecFacts
from tests.kit.bpfmachine import run
from tests.kit.ocispec import ID, IMAGE, generate, mount_at, refused, types

# --- the default posture ---------------------------------------------------------------------------------------------


def test_spec_is_json_and_of_version_1_2() -> None:
    made = generate()
    assert json.loads(json.dumps(made)) == made
    assert made["ociVersion"] == "1.2.0"


def test_default_capabilities_are_the_fourteen_with_empty_inheritable_and_ambient_sets() -> None:
    sets = generate()["process"]["capabilities"]
    assert mask(sets["bounding"]) == mask(sets["effective"]) == mask(sets["permitted"]) == 0xA80425FB
    assert sets["inheritable"] == sets["ambient"] == []


def test_default_namespaces_are_all_new_and_the_network_is_the_sandbox() -> None:
    assert types(generate()) == {
        "mount": "",
        "network": "held:netns",
        "ipc": "",
        "pid": "",
        "uts": "",
        "cgroup": "",
    }


@pytest.mark.parametrize(
    ("path", "kind", "options"),
    [
        ("/proc", "proc", {"nosuid", "noexec", "nodev"}),
        ("/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
        ("/dev/pts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
        ("/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
        ("/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", "ro"}),
        ("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
        ("/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}),
    ],
)
def test_default_mounts(path: str, kind: str, options: set[str]) -> None:
    entry = mount_at(generate(), path)
    assert entry["type"] == kind
    assert set(entry["options"]) == options


@pytest.mark.parametrize(
    "path",
    [
        "/proc/asound",
        "/proc/acpi",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ],
)
def test_path_is_masked(path: str) -> None:
    assert path in generate()["linux"]["maskedPaths"]


def test_machine_adds_masked_paths() -> None:
    thermal = "/sys/devices/system/cpu/cpu0/thermal_throttle"
    assert thermal in generate(facts=SpecFacts(masked_paths=(thermal,)))["linux"]["maskedPaths"]


def test_read_only_paths() -> None:
    expected = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
    assert set(generate()["linux"]["readonlyPaths"]) == expected


def test_other_defaults() -> None:
    made = generate()
    assert made["root"] == {"path": "/run/rootfs", "readonly": False}
    assert made["process"]["noNewPrivileges"] is False
    assert made["process"]["oomScoreAdj"] == 0
    assert made["process"]["rlimits"] == []
    assert made["process"]["terminal"] is False
    assert made["process"]["cwd"] == "/"
    assert made["linux"]["rootfsPropagation"] == "rslave"
    assert set(made["linux"]["resources"]) == {"devices"}
    assert "x-init" not in made
    assert made["hostname"] == ID[:12]


def test_default_sysctls_open_low_ports_and_ping() -> None:
    assert generate()["linux"]["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }


@pytest.mark.parametrize("mode", ["host", "container:abc"])
def test_no_default_sysctls_in_a_network_namespace_of_others(mode: str) -> None:
    assert generate({"NetworkMode": mode})["linux"]["sysctl"] == {}


def test_rootless_leaves_the_ping_range_alone() -> None:
    assert list(generate(facts=SpecFacts(rootless=True))["linux"]["sysctl"]) == ["net.ipv4.ip_unprivileged_port_start"]


def test_default_device_rules_deny_all_first_and_fuse_last() -> None:
    rules = generate()["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert rules[-1] == {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
    allowed = {
        (rule["type"], rule.get("major"), rule.get("minor"))
        for rule in rules
        if rule["allow"] and rule["access"] == "rwm"
    }
    assert allowed == {
        ("c", 1, 3),
        ("c", 1, 5),
        ("c", 1, 7),
        ("c", 1, 8),
        ("c", 1, 9),
        ("c", 5, 0),
        ("c", 5, 1),
        ("c", 5, 2),
        ("c", 10, 200),
        ("c", 136, None),
    }
    assert {(rule["type"], rule["access"]) for rule in rules if rule["allow"] and "major" not in rule} == {
        ("c", "m"),
        ("b", "m"),
    }


def test_default_seccomp_program_is_on() -> None:
    made = generate()
    program = b64decode(made["x-seccomp"])
    assert program == seccomp.default_program(frozenset(DEFAULT))
    assert made["x-seccomp-flags"] == seccomp.DEFAULT_FLAGS


# --- capabilities and security options -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        (["NET_ADMIN"], [], [*DEFAULT, "CAP_NET_ADMIN"]),
        (["cap_net_admin"], [], [*DEFAULT, "CAP_NET_ADMIN"]),
        ([], ["MKNOD"], [name for name in DEFAULT if name != "CAP_MKNOD"]),
        ([], ["ALL"], []),
        (["CHOWN"], ["ALL"], ["CAP_CHOWN"]),
        (["CHOWN"], ["CHOWN"], list(DEFAULT)),
        (["ALL"], [], list(ALL)),
        (["ALL"], ["SYS_ADMIN"], [name for name in ALL if name != "CAP_SYS_ADMIN"]),
        (["all"], ["all"], list(ALL)),
    ],
)
def test_capabilities_are_added_and_dropped(add: list[str], drop: list[str], expected: list[str]) -> None:
    sets = generate({"CapAdd": add, "CapDrop": drop})["process"]["capabilities"]
    assert set(sets["bounding"]) == set(expected)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"CapAdd": ["NOSUCH"]}, 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        ({"CapDrop": ["CAP_NOSUCH"]}, 'invalid CapDrop: unknown capability: "CAP_NOSUCH"'),
    ],
)
def test_unknown_capability_is_refused(host: dict[str, Any], message: str) -> None:
    assert refused(host) == message


def test_capability_that_the_machine_lacks_is_refused_when_asked_for_and_left_out_otherwise() -> None:
    facts = SpecFacts(capabilities=ALL - {"CAP_SYS_RESOURCE", "CAP_MKNOD"})
    assert "not available in the current environment" in refused({"CapAdd": ["SYS_RESOURCE"]}, facts=facts)
    assert "CAP_MKNOD" not in generate(facts=facts)["process"]["capabilities"]["bounding"]
    assert "CAP_MKNOD" not in generate({"CapDrop": ["MKNOD"]}, facts=facts)["process"]["capabilities"]["bounding"]
    assert set(generate({"Privileged": True}, facts=facts)["process"]["capabilities"]["bounding"]) == facts.capabilities


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges", True),
        ("no-new-privileges=true", True),
        ("no-new-privileges:true", True),
        ("no-new-privileges=false", False),
    ],
)
def test_no_new_privileges(option: str, expected: bool) -> None:
    assert generate({"SecurityOpt": [option]})["process"]["noNewPrivileges"] is expected


@pytest.mark.parametrize("option", ["seccomp=unconfined", "seccomp:unconfined"])
def test_seccomp_can_be_switched_off(option: str) -> None:
    assert "x-seccomp" not in generate({"SecurityOpt": [option]})


def test_seccomp_profile_as_json_text() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    made = generate({"SecurityOpt": [f"seccomp={json.dumps(profile)}"]})
    assert run(b64decode(made["x-seccomp"]), 83) == 0x50001
    assert run(b64decode(made["x-seccomp"]), 84) == seccomp.ALLOW


def test_seccomp_rules_follow_the_capabilities() -> None:
    plain, admin = generate(), generate({"CapAdd": ["SYS_ADMIN"]})
    assert run(b64decode(plain["x-seccomp"]), 165) == 0x50001
    assert run(b64decode(admin["x-seccomp"]), 165) == seccomp.ALLOW


def test_system_paths_can_be_unconfined() -> None:
    linux = generate({"SecurityOpt": ["systempaths=unconfined"]})["linux"]
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []


def test_paths_may_be_given() -> None:
    linux = generate({"MaskedPaths": ["/proc/x"], "ReadonlyPaths": []})["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == (["/proc/x"], [])


@pytest.mark.parametrize("option", ["label=disable", "label:type:x", "disable", "apparmor=x"])
def test_options_of_absent_security_modules_are_accepted(option: str) -> None:
    assert "x-seccomp" in generate({"SecurityOpt": [option]})


@pytest.mark.parametrize(("apparmor", "profile"), [(True, "unconfined"), (False, None)])
def test_a_profile_is_for_machines_with_apparmor(apparmor: bool, profile: str | None) -> None:
    made = generate({"SecurityOpt": ["apparmor:unconfined"]}, facts=SpecFacts(apparmor=apparmor))
    assert made["process"].get("apparmorProfile") == profile


@pytest.mark.parametrize("option", ["nosuch", "nosuch=1", "no-new-privileges=maybe", "systempaths=x"])
def test_unknown_security_option_is_refused(option: str) -> None:
    assert refused({"SecurityOpt": [option]}) == f'invalid security option: "{option}"'


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "nope.json"])
def test_broken_seccomp_profile_is_refused(text: str) -> None:
    assert refused({"SecurityOpt": [f"seccomp={text}"]}).startswith("seccomp profile: ")


def test_privileged_container() -> None:
    host = [{"path": "/dev/kvm", "type": "c", "major": 10, "minor": 232}]
    made = generate({"Privileged": True}, facts=SpecFacts(devices={"/dev": host}))
    assert set(made["process"]["capabilities"]["bounding"]) == set(ALL)
    assert made["process"]["capabilities"]["ambient"] == made["process"]["capabilities"]["inheritable"] == []
    assert "x-seccomp" not in made
    assert made["linux"]["maskedPaths"] == made["linux"]["readonlyPaths"] == []
    assert made["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert made["linux"]["devices"] == host
    assert "ro" not in mount_at(made, "/sys")["options"]
    assert "ro" not in mount_at(made, "/sys/fs/cgroup")["options"]
    assert "cgroup" not in types(made)
    assert "cgroup" in types(generate({"Privileged": True}, facts=SpecFacts(cgroup_version=2)))


def test_privileged_container_keeps_a_profile_that_was_asked_for() -> None:
    profile = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})
    assert "x-seccomp" in generate({"Privileged": True, "SecurityOpt": [f"seccomp={profile}"]})


def test_writable_cgroups() -> None:
    assert "ro" not in mount_at(generate({"SecurityOpt": ["writable-cgroups=true"]}), "/sys/fs/cgroup")["options"]
    assert "ro" in mount_at(generate({"SecurityOpt": ["writable-cgroups=true"]}), "/sys")["options"]


# --- the process -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "image", "expected"),
    [
        ({}, {"Cmd": ["a"]}, ["a"]),
        ({}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e", "a"]),
        ({"Cmd": ["b"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e", "b"]),
        ({"Cmd": []}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e", "a"]),
        ({"Entrypoint": None, "Cmd": None}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e", "a"]),
        ({"Entrypoint": ["f"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["f"]),
        ({"Entrypoint": ["f"], "Cmd": ["b"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["f", "b"]),
        ({"Entrypoint": []}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["a"]),
        ({"Entrypoint": [""], "Cmd": ["b"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["b"]),
        ({"Cmd": ["b"]}, {}, ["b"]),
    ],
)
def test_entry_point_and_command(config: dict[str, Any], image: dict[str, Any], expected: list[str]) -> None:
    assert generate(config=config, image=image)["process"]["args"] == expected


@pytest.mark.parametrize(
    ("config", "image"), [({}, {}), ({"Entrypoint": [""]}, {"Cmd": ["a"]}), ({"Entrypoint": []}, {"Entrypoint": ["e"]})]
)
def test_nothing_to_run_is_refused(config: dict[str, Any], image: dict[str, Any]) -> None:
    assert refused(config=config, image=image) == "no command specified"


PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.mark.parametrize(
    ("config", "image", "expected"),
    [
        ({}, [], [PATH, "HOSTNAME=0123456789ab"]),
        ({"Tty": True}, [], [PATH, "HOSTNAME=0123456789ab", "TERM=xterm"]),
        ({"Hostname": "web"}, [], [PATH, "HOSTNAME=web"]),
        ({"Env": ["B=2"]}, ["A=1"], [PATH, "HOSTNAME=0123456789ab", "A=1", "B=2"]),
        ({"Env": ["A=2", "PATH=/x"]}, ["A=1", "PATH=/y"], ["PATH=/x", "HOSTNAME=0123456789ab", "A=2"]),
        ({"Env": ["A=", "B=a=b\nc"]}, [], [PATH, "HOSTNAME=0123456789ab", "A=", "B=a=b\nc"]),
        ({"Env": ["A"]}, ["A=1"], [PATH, "HOSTNAME=0123456789ab"]),
        ({"Env": ["HOSTNAME=me"]}, [], [PATH, "HOSTNAME=me"]),
    ],
)
def test_environment(config: dict[str, Any], image: list[str], expected: list[str]) -> None:
    assert generate(config=config, image={"Cmd": ["a"], "Env": image})["process"]["env"] == expected


@pytest.mark.parametrize("entry", ["", "=x", "A=\0"])
def test_impossible_variable_is_refused(entry: str) -> None:
    assert "invalid environment variable" in refused(config={"Env": [entry]})


@pytest.mark.parametrize(
    ("config", "image", "expected"),
    [
        ({}, {}, "/"),
        ({}, {"WorkingDir": "/srv"}, "/srv"),
        ({"WorkingDir": "/a/../b//c/"}, {"WorkingDir": "/srv"}, "/b/c"),
        ({"WorkingDir": "//a"}, {}, "/a"),
    ],
)
def test_working_directory(config: dict[str, Any], image: dict[str, Any], expected: str) -> None:
    assert generate(config=config, image={**image, "Cmd": ["a"]})["process"]["cwd"] == expected


def test_relative_working_directory_is_refused() -> None:
    expected = "the working directory 'x' is invalid, it needs to be an absolute path"
    assert refused(config={"WorkingDir": "x"}) == expected


def test_user_is_left_for_the_root_file_system_to_resolve() -> None:
    process = generate({"GroupAdd": ["video", 44]}, {"User": "app:wheel"}, image={"Cmd": ["a"], "User": "x"})["process"]
    assert (process["x-user"], process["x-groups"]) == ("app:wheel", ["video", "44"])
    assert generate(image={"Cmd": ["a"], "User": "x"})["process"]["x-user"] == "x"
    assert generate()["process"]["x-user"] == ""


def test_ulimits_become_rlimits() -> None:
    host = {"Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "core", "Soft": 0, "Hard": -1}]}
    assert generate(host)["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 2**64 - 1},
    ]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"Name": "files", "Soft": 1, "Hard": 1}, "invalid ulimit type: files"),
        (
            {"Name": "nofile", "Soft": 3, "Hard": 2},
            "ulimit nofile: soft limit must be less than or equal to hard limit: 3 > 2",
        ),
        (
            {"Name": "nofile", "Soft": -1, "Hard": 2},
            "ulimit nofile: soft limit must be less than or equal to hard limit: -1 > 2",
        ),
    ],
)
def test_impossible_ulimit_is_refused(limit: dict[str, Any], message: str) -> None:
    assert refused({"Ulimits": [limit]}) == message


@pytest.mark.parametrize("score", [-1001, 1001])
def test_oom_score_has_a_range(score: int) -> None:
    assert refused({"OomScoreAdj": score}) == f"invalid value {score}, range for oom score adj is [-1000, 1000]"


def test_a_further_process_inherits_and_overrides() -> None:
    container = generate({"CapDrop": ["ALL"]}, {"Env": ["A=1"], "User": "app", "Tty": True})["process"]
    made = spec.exec_process(container, ["id"], env=["A=2", "B=3"])
    assert made["args"] == ["id"]
    assert [entry for entry in made["env"] if entry[0] in "ABT"] == ["A=2", "B=3"]
    assert (made["x-user"], made["terminal"], made["capabilities"]["bounding"]) == ("app", False, [])
    made = spec.exec_process(container, ["id"], user="root", cwd="/tmp/", tty=True, privileged=True, available=ALL)
    assert (made["x-user"], made["cwd"], made["terminal"]) == ("root", "/tmp", True)
    assert "TERM=xterm" in made["env"]
    assert set(made["capabilities"]["effective"]) == set(ALL)
    assert made["capabilities"]["ambient"] == []
    assert container["args"] == ["sh"]


def test_a_further_process_with_a_terminal_gets_a_type_of_one() -> None:
    container = generate()["process"]
    assert "TERM=xterm" in spec.exec_process(container, ["sh"], tty=True)["env"]
    assert "TERM=x" in spec.exec_process(container, ["sh"], tty=True, env=["TERM=x"])["env"]
    assert not [entry for entry in spec.exec_process(container, ["sh"])["env"] if entry.startswith("TERM")]


def test_a_further_process_needs_a_command_and_an_absolute_directory() -> None:
    container = generate()["process"]
    with pytest.raises(InvalidParameter, match="no exec command specified"):
        spec.exec_process(container, [])
    with pytest.raises(InvalidParameter, match="absolute"):
        spec.exec_process(container, ["a"], cwd="tmp")


# --- names, namespaces, sysctls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "config", "facts", "hostname"),
    [
        ({}, {}, SpecFacts(), ID[:12]),
        ({}, {"Hostname": "web.example"}, SpecFacts(), "web.example"),
        ({"NetworkMode": "host"}, {}, SpecFacts(hostname="machine"), "machine"),
        ({"NetworkMode": "host"}, {"Hostname": "web"}, SpecFacts(hostname="machine"), "web"),
        ({"UTSMode": "host"}, {}, SpecFacts(), None),
    ],
)
def test_host_name(host: dict[str, Any], config: dict[str, Any], facts: SpecFacts, hostname: str | None) -> None:
    assert generate(host, config, facts=facts).get("hostname") == hostname


@pytest.mark.parametrize("name", ["a" * 65, "a\n", "a\tb", "ä"])
def test_impossible_host_name_is_refused(name: str) -> None:
    assert refused(config={"Hostname": name}).startswith("invalid hostname")


def test_domain_name() -> None:
    assert generate(config={"Domainname": "example.org"})["domainname"] == "example.org"


@pytest.mark.parametrize(
    ("host", "absent"),
    [
        ({"NetworkMode": "host"}, "network"),
        ({"PidMode": "host"}, "pid"),
        ({"IpcMode": "host"}, "ipc"),
        ({"UTSMode": "host"}, "uts"),
        ({"CgroupnsMode": "host"}, "cgroup"),
    ],
)
def test_namespace_of_the_host(host: dict[str, Any], absent: str) -> None:
    assert absent not in types(generate(host))


@pytest.mark.parametrize(("field", "kind"), [("PidMode", "pid"), ("IpcMode", "ipc")])
def test_namespace_of_another_container(field: str, kind: str) -> None:
    facts = SpecFacts(namespace_paths={kind: "/proc/77/ns/x"})
    assert types(generate({field: "container:abc"}, facts=facts))[kind] == "/proc/77/ns/x"
    assert "of a non running container: abc" in refused({field: "container:abc"})


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"PidMode": "nosuch"}, "invalid PID mode: nosuch"),
        ({"PidMode": "container:"}, "invalid PID mode: container:"),
        ({"IpcMode": "nosuch"}, "invalid IPC mode: nosuch"),
        ({"UTSMode": "container:a"}, "invalid UTS mode: container:a"),
        ({"CgroupnsMode": "x"}, "invalid cgroup namespace mode: x"),
        ({"Runtime": "runsc"}, "unknown or invalid runtime name: runsc"),
    ],
)
def test_unknown_mode_is_refused(host: dict[str, Any], message: str) -> None:
    assert refused(host) == message


@pytest.mark.parametrize("mode", ["none", "default", "app_net", "container:abc"])
def test_any_other_network_is_the_sandbox_that_the_shim_holds(mode: str) -> None:
    assert types(generate({"NetworkMode": mode}))["network"] == "held:netns"


@pytest.mark.parametrize(
    ("host", "facts", "init"),
    [
        ({"Init": True}, SpecFacts(), True),
        ({"Init": False}, SpecFacts(init=True), False),
        ({}, SpecFacts(init=True), True),
        ({"Init": True, "PidMode": "host"}, SpecFacts(), False),
        ({"Init": True, "PidMode": "container:a"}, SpecFacts(namespace_paths={"pid": "/p"}), False),
    ],
)
def test_reaping_init(host: dict[str, Any], facts: SpecFacts, init: bool) -> None:
    assert generate(host, facts=facts).get("x-init", False) is init


@pytest.mark.parametrize("key", ["kernel.shmmax", "kernel.sem", "fs.mqueue.msg_max", "net.core.somaxconn"])
def test_sysctl_of_an_own_namespace(key: str) -> None:
    assert generate({"Sysctls": {key: "1"}})["linux"]["sysctl"][key] == "1"


def test_sysctl_of_the_user_wins_over_the_default() -> None:
    key = "net.ipv4.ip_unprivileged_port_start"
    assert generate({"Sysctls": {key: "1024"}})["linux"]["sysctl"][key] == "1024"


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ({}, "kernel.panic"),
        ({}, "vm.swappiness"),
        ({}, "kernel.shmmax\n"),
        ({}, "net/../kernel/panic"),
        ({"NetworkMode": "host"}, "net.core.somaxconn"),
        ({"IpcMode": "host"}, "kernel.shmmax"),
    ],
)
def test_sysctl_of_the_machine_is_refused(host: dict[str, Any], key: str) -> None:
    assert "sysctl" in refused({**host, "Sysctls": {key: "1"}})


def test_sysctl_refusal_is_docker_s() -> None:
    assert refused({"Sysctls": {"kernel.panic": "1"}}) == "sysctl 'kernel.panic=1' is not allowed"


# --- checks at creation ----------------------------------------------------------------------------------------------


def test_check_at_creation_lets_joined_containers_be_absent() -> None:
    spec.check({}, {"PidMode": "container:abc", "IpcMode": "container:abc"}, IMAGE, SpecFacts())


@pytest.mark.parametrize(
    ("config", "host", "message"),
    [
        ({"Hostname": "a"}, {"UTSMode": "host"}, "conflicting options: hostname and the UTS mode"),
        ({"Hostname": "a"}, {"NetworkMode": "container:b"}, "conflicting options: hostname and the network mode"),
        ({}, {"Memory": 1}, "minimum memory limit allowed is 6MB"),
    ],
)
def test_check_at_creation_refuses(config: dict[str, Any], host: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        spec.check(config, host, IMAGE, SpecFacts())
    assert caught.value.message == message


def test_seccomp_notification_is_not_supported() -> None:
    profile = json.dumps(
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_NOTIFY"}]}
    )
    with pytest.raises(NotSupported):
        generate({"SecurityOpt": [f"seccomp={profile}"]})
