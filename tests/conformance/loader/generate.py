"""Compose files made at random from pieces that are valid each: what matters is how they combine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from random import Random

WORDS = ("alpha", "beta", "gamma", "delta")
SCALARS: tuple[Any, ...] = (
    "x",
    "two words",
    "a=b",
    "",
    None,
    1,
    0,
    True,
    False,
    1.5,
    1e3,
    "$$y",
    "${V}",
    "${U:-d}",
    "yes",
    "010",
)


def project(random: Random) -> dict[str, str]:
    """Files of a project: a base, sometimes an override, an env file."""
    names = [f"s{index}" for index in range(random.randint(1, 4))]
    files = {
        "compose.yaml": _text(_document(random, names, base=True)),
        "one.env": "E1=1\nE2=${V}\n",
        "two.env": "E2=2\n",
    }
    if random.random() < 0.7:
        files["compose.override.yaml"] = _text(_document(random, names, base=False))
    return files


def _text(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def _document(random: Random, names: list[str], *, base: bool) -> dict[str, Any]:
    services: dict[str, Any] = {}
    for index, name in enumerate(names):
        if not base and random.random() < 0.4:
            continue
        service: dict[str, Any] = {"image": f"img{index}:1"} if base or random.random() < 0.3 else {}
        for attribute in random.sample(sorted(ATTRIBUTES), random.randint(1, 9)):
            service[attribute] = ATTRIBUTES[attribute](random)
        if index and random.random() < 0.5:
            service["depends_on"] = _depends(random, names[:index])
        if base and index and random.random() < 0.2:
            service["extends"] = random.choice([names[index - 1], {"service": names[0]}])
        services[name] = service
    document: dict[str, Any] = {"services": services}
    if base:
        document["networks"] = {"n1": None, "n2": {"labels": _mapping(random), "driver_opts": {"a": 1}}}
        document["volumes"] = {"v1": None, "v2": {"labels": _mapping(random)}}
        document["configs"] = {"c1": {"file": "./c1"}, "c2": {"content": "x ${V}"}}
        document["secrets"] = {"k1": {"file": "./k1"}, "k2": {"environment": "V"}}
    elif random.random() < 0.5:
        document["networks"] = {"n2": {"labels": _mapping(random), "internal": True}}
        document["volumes"] = {"v2": {"name": "renamed"}}
    return document


def _mapping(random: Random) -> Any:
    pairs = {random.choice(WORDS): random.choice(SCALARS) for _ in range(random.randint(0, 3))}
    if random.random() < 0.5:
        return pairs
    return [f"{key}" if value is None else f"{key}={value}" for key, value in pairs.items()]


def _depends(random: Random, names: list[str]) -> Any:
    chosen = random.sample(names, random.randint(1, len(names)))
    if random.random() < 0.5:
        return chosen
    conditions = ("service_started", "service_healthy", "service_completed_successfully")
    return {name: {"condition": random.choice(conditions), "restart": random.random() < 0.5} for name in chosen}


def _some(*choices: Any) -> Any:
    return lambda random: random.choice(choices)


def _list(*items: Any) -> Any:
    return lambda random: random.sample(items, random.randint(0, len(items)))


def _port(random: Random) -> Any:
    target = random.randint(1, 60)
    published = random.randint(1000, 60000)
    return random.choice(
        [
            target,
            f"{target}",
            f"{published}:{target}",
            f"127.0.0.1:{published}:{target}/udp",
            f"{published}-{published + 2}:{target}-{target + 2}",
            {"target": target, "published": str(published), "mode": "host"},
            {"target": target},
        ]
    )


def _volume(random: Random) -> Any:
    target = f"/{random.choice(WORDS)}"
    return random.choice(
        [
            target,
            f"v1:{target}",
            f"./d:{target}:ro",
            f"~/d:{target}:rw,z",
            {"type": "bind", "source": "../up", "target": target, "bind": {"propagation": "rshared"}},
            {"type": "volume", "source": "v2", "target": target, "volume": {"nocopy": True}},
            {"type": "tmpfs", "target": target, "tmpfs": {"size": "10m"}},
        ]
    )


def _unique(make: Any, key: Any) -> Any:
    def several(random: Random) -> Any:
        made = [make(random) for _ in range(random.randint(0, 3))]
        return list({key(item): item for item in made}.values())

    return several


def _target(item: Any) -> str:
    if isinstance(item, dict):
        return str(item["target"])
    parts = str(item).split(":")
    return parts[0] if len(parts) == 1 else parts[1]


ATTRIBUTES: dict[str, Any] = {
    "environment": _mapping,
    "labels": _mapping,
    "annotations": _mapping,
    "command": _some("a 'b c' d", ["a", "b"], [], "", None),
    "entrypoint": _some("sh -c 'x'", ["e"], [], None),
    "ports": _unique(_port, str),
    "volumes": _unique(_volume, _target),
    "networks": _some(["n1"], {"n1": {"aliases": ["q"]}, "n2": None}, {"n2": {"priority": 3}}, ["n1", "default"]),
    "configs": _some(["c1"], [{"source": "c2", "target": "/t", "mode": 0o440}], []),
    "secrets": _some(["k1"], [{"source": "k2", "uid": "5"}, "k1"]),
    "env_file": _some("one.env", ["one.env", "two.env"], [{"path": "two.env"}, {"path": "no.env", "required": False}]),
    "build": _some(".", {"context": "b", "args": {"A": 1, "V": None}}, {"args": ["B=2", "V"], "target": "t"}),
    "healthcheck": _some({"test": "x", "interval": "90s"}, {"test": ["CMD", "y"], "retries": 3}, {"disable": True}),
    "deploy": _some(
        {"labels": {"a": 1}},
        {"labels": ["a=2"]},
        {"resources": {"limits": {"memory": "1g"}}},
        {"restart_policy": {"condition": "any"}},
    ),
    "logging": _some({"driver": "x", "options": {"a": "1"}}, {"options": {"b": 2}}, {"driver": "y"}),
    "dns": _some("1.1.1.1", ["1.1.1.1", "8.8.8.8"]),
    "extra_hosts": _some(["h:1.1.1.1"], {"h": "1.1.1.1", "i": ["2.2.2.2", "::1"]}, ["h=[::1]"]),
    "ulimits": _some({"nofile": 5}, {"nofile": {"soft": 1, "hard": 2}, "core": -1}),
    "tmpfs": _some("/run", ["/run", "/var:size=1m"]),
    "sysctls": _some({"net.a": 1}, ["net.b=2"]),
    "cap_add": _list("CHOWN", "KILL", "ALL"),
    "expose": _list(80, "81", "90-92", "53/udp"),
    "mem_limit": _some("64m", 1048576, "1.5gb"),
    "cpus": _some(1, "0.5", 2.25),
    "restart": _some("always", "no", "on-failure:3"),
    "stop_grace_period": _some("1m30s", "0.5s", "1d"),
    "privileged": _some(True, "false", "yes"),
    "init": _some(True, False),
    "profiles": _some([], ["p"]),
    "user": _some("root", "1000:1000"),
    "x-note": _some("text", {"a": [1, 2.5, None]}),
    "devices": _list("/dev/a", "/dev/b:/dev/c:r"),
    "gpus": _some("all", [{"count": 1}]),
    "tty": _some(True, "no"),
    "post_start": _some([{"command": "a b"}], [{"command": ["c"], "environment": ["A=1", "V"]}]),
    "develop": _some({"watch": [{"path": ".", "action": "rebuild"}]}),
}
