"""What each legacy version added, written out: an attribute that is missing or too early fails here."""

from __future__ import annotations

from typing import Any

import pytest

import schemas
import schemas.legacy

FIRST = {
    "2.0": (
        106,
        (
            "blkio_config build cap_add cap_drop cgroup_parent command container_name cpu_quota cpu_shares cpuset depends_on"
            " devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links"
            " extra_hosts group_add hostname image ipc labels links logging mac_address mem_limit mem_reservation"
            " mem_swappiness memswap_limit network_mode networks oom_score_adj pid ports privileged read_only restart"
            " security_opt shm_size stdin_open stop_grace_period stop_signal tmpfs tty ulimits user volume_driver volumes"
            " volumes_from working_dir"
        ),
    ),
    "3.0": (
        103,
        (
            "build cap_add cap_drop cgroup_parent command container_name depends_on deploy devices dns dns_search domainname"
            " entrypoint env_file environment expose external_links extra_hosts healthcheck hostname image ipc labels links"
            " logging mac_address network_mode networks pid ports privileged read_only restart security_opt shm_size"
            " stdin_open stop_grace_period stop_signal sysctls tmpfs tty ulimits user userns_mode volumes working_dir"
        ),
    ),
}
"""Number of all attributes, and those of a service."""
ADDED = {
    "2.1": (
        128,
        (
            "networks.*.enable_ipv6 networks.*.labels networks.*.name build.isolation build.labels cpu_period"
            " depends_on.*.condition healthcheck isolation networks.*.link_local_ips oom_kill_disable pids_limit storage_opt"
            " sysctls userns_mode volumes.*.labels volumes.*.name"
        ),
    ),
    "2.2": (
        137,
        "build.cache_from build.network cpu_count cpu_percent cpu_rt_period cpu_rt_runtime cpus init scale",
    ),
    "2.3": (
        154,
        (
            "build.extra_hosts build.shm_size build.target device_cgroup_rules healthcheck.start_period runtime"
            " volumes.[].bind volumes.[].consistency volumes.[].read_only volumes.[].source volumes.[].target"
            " volumes.[].tmpfs volumes.[].type volumes.[].volume"
        ),
    ),
    "2.4": (155, "platform"),
    "3.1": (114, "secrets secrets"),
    "3.2": (
        130,
        (
            "networks.*.attachable build.cache_from deploy.endpoint_mode ports.[].mode ports.[].protocol ports.[].published"
            " ports.[].target volumes.[].bind volumes.[].consistency volumes.[].read_only volumes.[].source"
            " volumes.[].target volumes.[].type volumes.[].volume"
        ),
    ),
    "3.3": (147, "configs build.labels configs credential_spec deploy.placement.preferences"),
    "3.4": (152, "build.network build.target deploy.update_config.order healthcheck.start_period volumes.*.name"),
    "3.5": (
        161,
        (
            "configs.*.name networks.*.name secrets.*.name build.shm_size"
            " deploy.resources.reservations.generic_resources isolation"
        ),
    ),
    "3.6": (163, "volumes.[].tmpfs"),
    "3.7": (171, "deploy.rollback_config init"),
    "3.8": (
        177,
        (
            "configs.*.template_driver secrets.*.driver secrets.*.driver_opts secrets.*.template_driver"
            " credential_spec.config deploy.placement.max_replicas_per_node"
        ),
    ),
    "3.9": (180, "build.extra_hosts cgroupns_mode deploy.resources.limits.pids"),
    "3.10": (180, ""),
    "3.11": (180, ""),
    "3.12": (181, "healthcheck.start_interval"),
    "3.13": (183, "networks.*.driver_opts oom_score_adj"),
}
"""Number of all attributes, and the topmost new ones; those of a service stand without `services.*`."""


def _attributes(version: str) -> set[str]:
    found: set[str] = set()

    def walk(schema: Any, path: str) -> None:
        for name, below in schema.get("properties", {}).items():
            here = f"{path}.{name}".lstrip(".")
            found.add(here)
            walk(below, here)
        for pattern, below in schema.get("patternProperties", {}).items():
            if not pattern.startswith("^x-"):
                walk(below, f"{path}.*")
        for part in schema.get("oneOf", ()):
            walk(part, path)
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], f"{path}.[]")

    walk(schemas.load(version), "")
    return found


@pytest.mark.parametrize("version", FIRST)
def test_the_first_version_of_a_line_knows_these_attributes(version: str) -> None:
    known = _attributes(version)
    number, of_services = FIRST[version]
    assert len(known) == number
    names = {path.removeprefix("services.*.") for path in known if path.startswith("services.*.")}
    assert sorted(name for name in names if "." not in name) == of_services.split()


@pytest.mark.parametrize("version", ADDED)
def test_a_version_adds_these_attributes_to_the_one_before_and_takes_none_away(version: str) -> None:
    before = schemas.legacy.VERSIONS[schemas.legacy.VERSIONS.index(version) - 1]
    known, old = _attributes(version), _attributes(before)
    number, added = ADDED[version]
    assert old <= known
    assert len(known) == number
    fresh = known - old
    top = [path for path in sorted(fresh) if not any(path.startswith(f"{other}.") for other in fresh)]
    assert [path.removeprefix("services.*.") for path in top] == added.split()
