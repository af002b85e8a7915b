"""The mapping of a service to Docker's terms, attribute by attribute."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from compose.errors import ComposeError
from compose.model.deploy import DeployConfig, Resource, Resources, RestartPolicy
from compose.model.fileobject import ConfigObjConfig, SecretConfig
from compose.model.healthcheck import HealthCheckConfig
from compose.model.limits import BlkioConfig, DeviceMapping, DeviceRequest, ThrottleDevice, UlimitsConfig, WeightDevice
from compose.model.mounts import (
    ServiceConfigObjConfig,
    ServiceSecretConfig,
    ServiceVolumeBind,
    ServiceVolumeConfig,
    ServiceVolumeImage,
    ServiceVolumeTmpfs,
    ServiceVolumeVolume,
)
from compose.model.network import PortConfig, ServiceNetworkConfig
from compose.model.service import LoggingConfig
from compose.reconcile.container_body import create_container
from compose.reconcile.instance import Instance
from tests.kit.states import port, project, service, volume

SECOND = 1_000_000_000


def body(
    _project: dict[str, Any] | None = None, _instance: dict[str, Any] | None = None, **said: Any
) -> dict[str, Any]:
    web = service("web", **said)
    app = project(web, **(_project or {}))
    made = Instance(**{"project": app, "service": web, "number": 1, "config_hash": "hash", **(_instance or {})})
    return dict(create_container(made))


CONFIG = [
    ({"image": ""}, {"Image": "app-web"}),
    ({"image": "img:1"}, {"Image": "img:1"}),
    ({"environment": {"A": "1", "B": "", "C": None}}, {"Env": ["A=1", "B=", "C"]}),
    ({"command": ("a", "b")}, {"Cmd": ["a", "b"]}),
    ({"command": ()}, {"Cmd": []}),
    ({"entrypoint": ("e",)}, {"Entrypoint": ["e"]}),
    ({"entrypoint": ()}, {"Entrypoint": []}),
    ({"hostname": "h", "domainname": "d"}, {"Hostname": "h", "Domainname": "d"}),
    ({"user": "1:2", "working_dir": "/x"}, {"User": "1:2", "WorkingDir": "/x"}),
    ({"tty": True, "stdin_open": True}, {"Tty": True, "OpenStdin": True}),
    ({"stop_signal": "SIGINT"}, {"StopSignal": "SIGINT"}),
    ({"stop_grace_period": 90 * SECOND}, {"StopTimeout": 90}),
    ({"stop_grace_period": 0}, {"StopTimeout": 0}),
    (
        {"expose": ("80", "8000-8001/udp")},
        {"ExposedPorts": {"80/tcp": {}, "8000/udp": {}, "8001/udp": {}}},
    ),
    ({"ports": (port("8080", 80),)}, {"ExposedPorts": {"80/tcp": {}}}),
    (
        {
            "healthcheck": HealthCheckConfig(
                test=("CMD-SHELL", "x"),
                interval=SECOND,
                timeout=2 * SECOND,
                retries=3,
                start_period=4 * SECOND,
                start_interval=5,
            )
        },
        {
            "Healthcheck": {
                "Test": ["CMD-SHELL", "x"],
                "Interval": SECOND,
                "Timeout": 2 * SECOND,
                "Retries": 3,
                "StartPeriod": 4 * SECOND,
                "StartInterval": 5,
            }
        },
    ),
    ({"healthcheck": HealthCheckConfig(disable=True)}, {"Healthcheck": {"Test": ["NONE"]}}),
    ({"healthcheck": HealthCheckConfig(interval=SECOND)}, {"Healthcheck": {"Test": [], "Interval": SECOND}}),
]


@pytest.mark.parametrize(("said", "expected"), CONFIG, ids=",".join)
def test_config(said: dict[str, Any], expected: dict[str, Any]) -> None:
    made = body(**said)["Config"]
    assert {key: made.get(key) for key in expected} == expected


def test_what_is_not_said_is_not_there() -> None:
    made = body()
    assert set(made["Config"]) == {"Image", "Env", "Labels"}
    assert made["HostConfig"] == {"NetworkMode": "app_default"}


HOST = [
    (
        {"ports": (port("8080", 80, host_ip="127.0.0.1"), port("", 80))},
        {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "", "HostPort": ""}]}},
    ),
    (
        {"ports": (PortConfig(target=53, published="5353", protocol="udp"),)},
        {"PortBindings": {"53/udp": [{"HostIp": "", "HostPort": "5353"}]}},
    ),
    ({"cap_add": ("NET_ADMIN",), "cap_drop": ("ALL",)}, {"CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"]}),
    (
        {"dns": ("1.1.1.1",), "dns_search": ("x",), "dns_opt": ("ndots:1",)},
        {"Dns": ["1.1.1.1"], "DnsSearch": ["x"], "DnsOptions": ["ndots:1"]},
    ),
    (
        {"extra_hosts": {"a": ("1.2.3.4", "::1"), "b": ("host-gateway",)}},
        {"ExtraHosts": ["a:1.2.3.4", "a:::1", "b:host-gateway"]},
    ),
    ({"group_add": ("7",)}, {"GroupAdd": ["7"]}),
    ({"init": True}, {"Init": True}),
    ({"init": False}, {"Init": False}),
    (
        {"ipc": "shareable", "pid": "host", "uts": "host", "cgroup": "private", "userns_mode": "host"},
        {"IpcMode": "shareable", "PidMode": "host", "UTSMode": "host", "CgroupnsMode": "private", "UsernsMode": "host"},
    ),
    ({"privileged": True, "read_only": True}, {"Privileged": True, "ReadonlyRootfs": True}),
    ({"restart": "unless-stopped"}, {"RestartPolicy": {"Name": "unless-stopped"}}),
    ({"restart": "no"}, {"RestartPolicy": {"Name": "no"}}),
    ({"restart": "on-failure:3"}, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}),
    (
        {"restart": "always", "deploy": DeployConfig(restart_policy=RestartPolicy(condition="none"))},
        {"RestartPolicy": {"Name": "no"}},
    ),
    (
        {"deploy": DeployConfig(restart_policy=RestartPolicy(condition="any", max_attempts=2))},
        {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}},
    ),
    (
        {"shm_size": 64, "sysctls": {"a.b": "1"}, "storage_opt": {"size": "1G"}, "annotations": {"k": "v"}},
        {"ShmSize": 64, "Sysctls": {"a.b": "1"}, "StorageOpt": {"size": "1G"}, "Annotations": {"k": "v"}},
    ),
    (
        {"security_opt": ("no-new-privileges", "label:disable", "apparmor=x")},
        {"SecurityOpt": ["no-new-privileges", "label:disable", "apparmor=x"]},
    ),
    ({"security_opt": ("systempaths=unconfined",)}, {"MaskedPaths": [], "ReadonlyPaths": []}),
    ({"security_opt": ("seccomp=unconfined",)}, {"SecurityOpt": ["seccomp=unconfined"]}),
    ({"security_opt": ("seccomp=p.json",)}, {"SecurityOpt": ["seccomp=/w/p.json"]}),
    (
        {"logging": LoggingConfig(driver="json-file", options={"max-size": "1m"})},
        {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}},
    ),
    ({"tmpfs": ("/a", "/b:size=1m,mode=700")}, {"Tmpfs": {"/a": "", "/b": "size=1m,mode=700"}}),
    ({"runtime": "x"}, {"Runtime": "x"}),
    ({"network_mode": "host"}, {"NetworkMode": "host"}),
    ({"network_mode": "container:abc"}, {"NetworkMode": "container:abc"}),
    ({"volumes_from": ("container:x:ro",)}, {"VolumesFrom": ["x:ro"]}),
    ({"networks": {}}, {"NetworkMode": "none"}),
]


@pytest.mark.parametrize(("said", "expected"), HOST, ids=",".join)
def test_host_config(said: dict[str, Any], expected: dict[str, Any]) -> None:
    made = body(**said)["HostConfig"]
    assert {key: made.get(key) for key in expected} == expected


RESOURCES = [
    ({"mem_limit": 1, "mem_reservation": 2, "memswap_limit": -1, "mem_swappiness": 4},
     {"Memory": 1, "MemoryReservation": 2, "MemorySwap": -1, "MemorySwappiness": 4}),
    ({"cpus": 0.1}, {"NanoCpus": 100_000_000}),
    ({"cpus": 0.10000000149011612}, {"NanoCpus": 100_000_000}),
    ({"cpu_shares": 1, "cpu_period": 2, "cpu_quota": 3, "cpuset": "0-1"},
     {"CpuShares": 1, "CpuPeriod": 2, "CpuQuota": 3, "CpusetCpus": "0-1"}),
    ({"cpu_rt_period": 1, "cpu_rt_runtime": 2}, {"CpuRealtimePeriod": 1, "CpuRealtimeRuntime": 2}),
    ({"pids_limit": -1, "oom_kill_disable": True, "oom_score_adj": -5, "cgroup_parent": "c"},
     {"PidsLimit": -1, "OomKillDisable": True, "OomScoreAdj": -5, "CgroupParent": "c"}),
    ({"ulimits": {"nofile": UlimitsConfig(soft=1, hard=2), "core": UlimitsConfig(single=-1)}},
     {"Ulimits": [{"Name": "core", "Soft": -1, "Hard": -1}, {"Name": "nofile", "Soft": 1, "Hard": 2}]}),
    ({"mem_limit": 1, "cpus": 1.0, "pids_limit": 1,
      "deploy": DeployConfig(resources=Resources(limits=Resource(memory=5, cpus=0.5, pids=6),
                                                 reservations=Resource(memory=7, cpus=9)))},
     {"Memory": 5, "NanoCpus": 500_000_000, "PidsLimit": 6, "MemoryReservation": 7}),
    ({"devices": (DeviceMapping(source="/dev/a", target="/dev/b", permissions="r"),)},
     {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]}),
    ({"devices": (DeviceMapping(source="vendor.com/gpu=0", target="vendor.com/gpu=0", permissions="rwm"),)},
     {"Devices": None, "DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/gpu=0"]}]}),
    ({"device_cgroup_rules": ("c 1:3 r",)}, {"DeviceCgroupRules": ["c 1:3 r"]}),
    ({"gpus": (DeviceRequest(count=-1),)}, {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
    ({"deploy": DeployConfig(resources=Resources(reservations=Resource(
        devices=(DeviceRequest(capabilities=("tpu",), device_ids=("1",)),))))},
     {"DeviceRequests": [{"DeviceIDs": ["1"], "Capabilities": [["tpu"]]}]}),
    ({"blkio_config": BlkioConfig(weight=5, weight_device=(WeightDevice(path="/dev/a", weight=6),),
                                  device_read_bps=(ThrottleDevice(path="/dev/a", rate=7),))},
     {"BlkioWeight": 5, "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 6}],
      "BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 7}]}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), RESOURCES, ids=",".join)
def test_resources(said: dict[str, Any], expected: dict[str, Any]) -> None:
    made = body(**said)["HostConfig"]
    assert {key: made.get(key) for key in expected} == expected


def bind(**said: Any) -> ServiceVolumeConfig:
    return ServiceVolumeConfig(type="bind", source="/h", target="/c", **said)


MOUNTS = [
    (bind(), {"Type": "bind", "Source": "/h", "Target": "/c", "BindOptions": {"CreateMountpoint": True}}),
    (bind(read_only=True, bind=ServiceVolumeBind(create_host_path=False, propagation="rshared", recursive="disabled")),
     {"Type": "bind", "Source": "/h", "Target": "/c", "ReadOnly": True,
      "BindOptions": {"CreateMountpoint": False, "Propagation": "rshared", "NonRecursive": True}}),
    (volume("data"), {"Type": "volume", "Source": "app_data", "Target": "/data"}),
    (volume(""), {"Type": "volume", "Source": "", "Target": "/data"}),
    (volume("data", volume=ServiceVolumeVolume(nocopy=True, subpath="s", labels={"a": "b"})),
     {"Type": "volume", "Source": "app_data", "Target": "/data",
      "VolumeOptions": {"NoCopy": True, "Subpath": "s", "Labels": {"a": "b"}}}),
    (ServiceVolumeConfig(type="tmpfs", target="/t", tmpfs=ServiceVolumeTmpfs(size=9, mode=0o700)),
     {"Type": "tmpfs", "Source": "", "Target": "/t", "TmpfsOptions": {"SizeBytes": 9, "Mode": 0o700}}),
    (ServiceVolumeConfig(type="image", source="img", target="/i", image=ServiceVolumeImage(subpath="s")),
     {"Type": "image", "Source": "img", "Target": "/i", "ImageOptions": {"Subpath": "s"}}),
]  # fmt: skip


@pytest.mark.parametrize(("mount", "expected"), MOUNTS)
def test_mounts(mount: ServiceVolumeConfig, expected: dict[str, Any]) -> None:
    assert body(volumes=(mount,))["HostConfig"]["Mounts"] == [expected]


def test_secrets_and_configs_from_files_are_read_only_binds() -> None:
    made = body(
        {"secrets": {"s": SecretConfig(file="/f/s")}, "configs": {"c": ConfigObjConfig(file="/f/c")}},
        secrets=(ServiceSecretConfig(source="s"), ServiceSecretConfig(source="s", target="renamed")),
        configs=(ServiceConfigObjConfig(source="c", target="/etc/c"),),
    )
    assert [(each["Source"], each["Target"], each["ReadOnly"]) for each in made["HostConfig"]["Mounts"]] == [
        ("/f/s", "/run/secrets/s", True),
        ("/f/s", "/run/secrets/renamed", True),
        ("/f/c", "/etc/c", True),
    ]
    assert all(each["BindOptions"] == {"CreateMountpoint": False} for each in made["HostConfig"]["Mounts"])


def test_secrets_and_configs_without_a_file_are_inline_files() -> None:
    made = body(
        {
            "secrets": {"s": SecretConfig(environment="TOKEN")},
            "configs": {"c": ConfigObjConfig(content="text")},
            "environment": {"TOKEN": "secret"},
        },
        secrets=(ServiceSecretConfig(source="s", uid="5", gid="6", mode=0o400),),
        configs=(ServiceConfigObjConfig(source="c"),),
    )
    assert [{**each, "Content": b64decode(each["Content"])} for each in made["Files"]] == [
        {"Target": "/run/secrets/s", "Content": b"secret", "Mode": 0o400, "UID": 5, "GID": 6},
        {"Target": "/c", "Content": b"text", "Mode": 0o444, "UID": 0, "GID": 0},
    ]
    assert "Mounts" not in made["HostConfig"]


@pytest.mark.parametrize(
    ("secret", "reference", "message"),
    [
        (SecretConfig(name="n", external=True), {}, "unsupported external secret n"),
        (SecretConfig(name="n", driver="d"), {}, r"secret n: secrets\.\*\.driver is not supported"),
        (SecretConfig(name="n", environment="NO"), {}, 'environment variable "NO" required by secret "n" is not set'),
        (SecretConfig(name="n", content="x"), {"uid": "root"}, "secret s: uid must be a number, not root"),
    ],
)
def test_a_secret_that_cannot_be_given_is_an_error(
    secret: SecretConfig, reference: dict[str, str], message: str
) -> None:
    with pytest.raises(ComposeError, match=message):
        body({"secrets": {"s": secret}}, secrets=(ServiceSecretConfig(source="s", **reference),))


def test_a_volume_beats_a_secret_at_the_same_place() -> None:
    made = body(
        {"secrets": {"s": SecretConfig(file="/f/s")}},
        volumes=(volume("data", "/run/secrets/s"),),
        secrets=(ServiceSecretConfig(source="s"),),
    )
    assert [each["Type"] for each in made["HostConfig"]["Mounts"]] == ["volume"]


def test_interfaces_come_in_the_order_of_priority_then_name() -> None:
    made = body(
        networks={"b": None, "a": None, "z": ServiceNetworkConfig(priority=10)}, mac_address="02:00:00:00:00:01"
    )
    assert list(made["EndpointsConfig"]) == ["app_z", "app_a", "app_b"]
    assert made["HostConfig"]["NetworkMode"] == "app_z"
    assert [each.get("MacAddress") for each in made["EndpointsConfig"].values()] == ["02:00:00:00:00:01", None, None]


def test_an_endpoint_carries_aliases_addresses_and_options() -> None:
    attached = ServiceNetworkConfig(
        aliases=("x", "web"),
        ipv4_address="10.0.0.5",
        ipv6_address="fd00::5",
        link_local_ips=("169.254.1.1",),
        interface_name="lan",
        driver_opts={"o": "1"},
        gw_priority=3,
        mac_address="02:00:00:00:00:02",
    )
    made = body(networks={"default": attached}, container_name="custom", mac_address="02:00:00:00:00:02")
    assert made["EndpointsConfig"]["app_default"] == {
        "Aliases": ["custom", "web", "x"],
        "MacAddress": "02:00:00:00:00:02",
        "IPAMConfig": {"IPv4Address": "10.0.0.5", "IPv6Address": "fd00::5", "LinkLocalIPs": ["169.254.1.1"]},
        "DriverOpts": {"o": "1", "com.docker.network.endpoint.ifname": "lan"},
        "GwPriority": 3,
    }


def test_links_name_every_container_of_the_service() -> None:
    made = body(
        _instance={"linked": {"db": ("app-db-1", "app-db-2")}},
        links=("db:database",),
        external_links=("other:o", "third"),
    )
    assert made["EndpointsConfig"]["app_default"]["Links"] == [
        "app-db-1:database",
        "app-db-1:app-db-1",
        "app-db-2:database",
        "app-db-2:app-db-2",
        "other:o",
        "third:third",
    ]


def test_a_network_mode_has_no_endpoints() -> None:
    made = body(network_mode="host", networks={})
    assert made["EndpointsConfig"] == {}


def test_labels_are_the_users_and_all_of_ours() -> None:
    made = body(
        _instance={"image_id": "sha256:1", "env_files": ("/w/a", "/w/b")},
        labels={"x": "y"},
        needs={"db": "healthy restart", "cache": "started"},
    )
    assert made["Config"]["Labels"] == {
        "x": "y",
        "com.docker.compose.project": "app",
        "com.docker.compose.service": "web",
        "com.docker.compose.version": "2.40.3",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.container-number": "1",
        "com.docker.compose.config-hash": "hash",
        "com.docker.compose.image": "sha256:1",
        "com.docker.compose.depends_on": "cache:service_started:false,db:service_healthy:true",
        "com.docker.compose.project.working_dir": "/w",
        "com.docker.compose.project.config_files": "/w/compose.yaml",
        "com.docker.compose.project.environment_file": "/w/a,/w/b",
    }


def test_the_engine_learns_dependencies_as_label_selectors() -> None:
    made = body(needs={"db": "healthy restart optional"})
    assert made["Dependencies"] == [
        {
            "Labels": {
                "com.docker.compose.project": "app",
                "com.docker.compose.service": "db",
                "com.docker.compose.oneoff": "False",
            },
            "Condition": "service_healthy",
            "Required": False,
            "Restart": True,
        }
    ]
    assert made["PortGroup"] == "app/web"


def test_a_seccomp_profile_is_passed_by_content_where_it_was_read() -> None:
    made = body(_instance={"seccomp_profiles": {"/w/p.json": "{}"}}, security_opt=("seccomp:p.json",))
    assert made["HostConfig"]["SecurityOpt"] == ["seccomp={}"]


def test_a_malformed_security_option_is_an_error() -> None:
    with pytest.raises(ComposeError, match=r'^invalid security-opt: "what"$'):
        body(security_opt=("what",))
