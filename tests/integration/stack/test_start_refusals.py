"""What cannot start is told in one calm line, without the names of system calls; what Docker starts, starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

PROGRAMS = {
    "crlf.sh": "#!/bin/sh\r\nsleep 9\r\n",
    "lost.sh": "#!/no/such/interpreter\nsleep 9\n",
    "bare.sh": "sleep 9\n",
    "foreign": "\x7fELF\x02\x01\x01" + "\0" * 9 + "\x02\0\x16\0\x01\0\0\0" + "\0" * 100,
}
SYSTEM_CALLS = ("openat2", "mkdirat", "open_tree", "move_mount", "execve")


REFUSED = {
    "the directory is a file": (
        "working_dir: /etc/passwd, command: sleep 1000",
        "working directory /etc/passwd: is not a directory in the image",
    ),
    "a subpath that is not there": (
        "command: sleep 1000, volumes: [{type: volume, source: data, target: /v, volume: {subpath: no/such}}]",
        "mount /v: subpath no/such is not in the volume, make it first",
    ),
    "a file on a directory": (
        "command: sleep 1000, volumes: ['./bare.sh:/usr']",
        "mount /usr: is a directory in the image, the source is a file",
    ),
    "a directory on a file": (
        "command: sleep 1000, volumes: ['./:/etc/passwd']",
        "mount /etc/passwd: is a file in the image, the mount needs a directory",
    ),
    "a tmpfs on a file": (
        "command: sleep 1000, tmpfs: /etc/passwd",
        "mount /etc/passwd: is a file in the image, the mount needs a directory",
    ),
    "no place below a read-only mount": (
        "command: sleep 1000, volumes: ['./:/d:ro', './:/d/new']",
        "mount /d/new: is not there, and what is above it is read-only",
    ),
    "a setting the kernel has not": (
        "command: sleep 1000, sysctls: {net.no.such: 1}",
        "sysctl net.no.such=1: this kernel has none",
    ),
    "a directory as program": ("entrypoint: [/usr]", 'exec: "/usr": is a directory: permission denied'),
    "a text as program": ("entrypoint: [/etc/passwd]", 'exec: "/etc/passwd": permission denied'),
    "line ends of Windows": (
        "entrypoint: [/p/crlf.sh], volumes: ['./:/p:ro']",
        "its first line ends in a carriage return, save it with LF line ends",
    ),
    "a lost interpreter": (
        "entrypoint: [/p/lost.sh], volumes: ['./:/p:ro']",
        "its interpreter /no/such/interpreter is not in the image",
    ),
    "a script without a first line": (
        "entrypoint: [/p/bare.sh], volumes: ['./:/p:ro']",
        'exec format error: a script needs a first line like "#!/bin/sh"',
    ),
    "another machine's program": (
        "entrypoint: [/p/foreign], volumes: ['./:/p:ro']",
        "exec format error: it is made for s390x, this machine is ",
    ),
    "a protocol that is not proxied": (
        "command: sleep 1000, ports: ['127.0.0.1::38412/sctp']",
        "sctp",
    ),
    "a graphics card that nobody drives": (
        "command: sleep 1000, gpus: all",
        'could not select device driver "" with capabilities: [[gpu]]',
    ),
    "a device that is reserved": (
        "command: sleep 1000, deploy: {resources: {reservations: {devices: [{driver: nvidia, capabilities: [gpu]}]}}}",
        'could not select device driver "nvidia" with capabilities: [[gpu]]',
    ),
    "a file system the kernel has not": (
        "command: sleep 1000, volumes: [nfs:/n]",
        "no such device",
    ),
    "a runtime that is not there": ("command: sleep 1000, runtime: kata", "unknown or invalid runtime name: kata"),
    "a limit for a disk that is not there": (
        "command: sleep 1000, blkio_config: {device_read_bps: [{path: /dev/nosuch, rate: 1mb}]}",
        "block device /dev/nosuch: no such device",
    ),
    "an address that is not link-local": (
        "command: sleep 1000, networks: {default: {link_local_ips: [10.1.2.3]}}",
        "invalid link-local IP address: 10.1.2.3",
    ),
    "swap without memory": (
        "command: sleep 1000, memswap_limit: 64m",
        "you should always set the memory limit when using memoryswap limit",
    ),
    "an address no interface has": (
        "command: sleep 1000, mac_address: zz",
        "invalid MAC address zz",
    ),
}


@pytest.fixture(scope="module")
def programs(module_stack: Stack) -> Stack:
    for name, text in PROGRAMS.items():
        module_stack.write(name, "")
        path = module_stack.folder / name
        path.write_bytes(text.encode("latin-1"))
        path.chmod(0o755)
    return module_stack


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_start_says_why_in_one_line(programs: Stack, case: str) -> None:
    attributes, words = REFUSED[case]
    programs.compose(f"""
        services: {{web: {{image: localhost/host, {attributes}}}}}
        volumes: {{data: , nfs: {{driver_opts: {{type: nofs, o: "addr=127.0.0.1", device: ":/none"}}}}}}
    """)
    failed = programs.run("up", "-d", ok=False)
    last = failed.err.splitlines()[-1]
    assert failed.code == 1
    assert words in last
    assert "compose.yaml:" in last
    assert not [name for name in SYSTEM_CALLS if name in failed.err]


NETWORKS = {
    "ipam: {config: [{subnet: 10.99.77.0/24}, {subnet: 10.99.78.0/24}]}": "bridge driver doesn't support multiple subnets",
    "driver: macvlan": "driver macvlan is not there: this runtime has bridge, host and none",
    "driver_opts: {com.docker.network.bridge.name: waytoolongforany}": "expected 1 to 15 characters",
    "driver_opts: {com.docker.network.bridge.name: lo}": "interface lo exists already",
    "driver_opts: {com.docker.network.container_iface_prefix: a/b}": "expected 1 to 12 characters without space, slash or colon",
    "driver_opts: {com.docker.network.bridge.host_binding_ipv4: here}": "expected an IPv4 address",
}


@pytest.mark.parametrize("option", NETWORKS)
def test_an_option_of_a_network_that_cannot_be_is_told(programs: Stack, option: str) -> None:
    programs.compose(f"""
        services: {{web: {{image: localhost/host, command: sleep 1000, networks: [odd]}}}}
        networks: {{odd: {{{option}}}}}
    """)
    failed = programs.run("up", "-d", ok=False)
    assert failed.code == 1
    assert NETWORKS[option] in failed.err.splitlines()[-1]


def test_a_working_directory_that_is_a_file_is_told_before_anything_is_created(programs: Stack) -> None:
    programs.compose("services: {early: {image: localhost/host, command: sleep 1000, working_dir: /usr/bin/env}}")
    failed = programs.run("up", "-d", ok=False)
    assert "working directory /usr/bin/env: is not a directory in the image" in failed.err
    assert "early-1" not in programs.states()


def test_what_docker_starts_starts(programs: Stack) -> None:
    programs.compose("""
        x-own: &own {image: localhost/host, command: sleep 1000, init: true}
        services:
          hidden: {<<: *own, volumes: ['/dev/null:/etc/passwd']}
          named: {<<: *own, hostname: 'a b'}
          guest: {<<: *own, network_mode: 'service:host'}
          host: {<<: *own, hostname: outer}
          outside: {<<: *own, ipc: host}
    """)
    programs.run("up", "-d", "--remove-orphans")
    poll(lambda: set(programs.states().values()) == {"running"}, what="all run")
    assert programs.exec("hidden", "wc", "-c", "/etc/passwd").out.split()[0] == "0"
    assert programs.exec("named", "hostname").lines == ["a b"]
    assert programs.exec("guest", "sh", "-c", "hostname; echo $HOSTNAME").lines == ["outer", "outer"]
    assert _options(programs.exec("outside", "cat", "/proc/self/mountinfo").out) == _options(_own_mounts())


def _own_mounts() -> str:
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        return stream.read()


def _options(mountinfo: str) -> set[str]:
    return {
        option
        for line in mountinfo.splitlines()
        if line.split()[4] == "/dev/shm"
        for option in line.split()[5].split(",")
    }
