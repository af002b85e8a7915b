"""Projects that lay the same few attributes over each other in every way there is.

Overrides, `extends`, includes, several documents, merge keys and tags all meet the same small pool of keys, so that
most pieces clash: what matters is who wins.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.kit.peer_compose import Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PAIRS: dict[str, Any] = {"A": "1", "B": 2, "C": None, "D": True, "E": "${V}", "F": "x=y", "G": ""}
SIMPLE = {key: PAIRS[key] for key in "ABEF"}


class Tag:
    """A value under a tag, or `mark` says that it is an anchor, an alias or a merge key."""

    def __init__(self, mark: str, value: Any = None) -> None:
        self.mark = mark
        self.value = value


ALIAS = object()


def _neighbours() -> dict[str, Any]:
    """Services for others to depend on; the same ones in included files."""
    return {"late": {"image": "late"}, "z": {"image": "z"}}


def case(random: Random) -> Case:
    """A project of files that override, extend and include each other."""
    return _Maker(random).case()


def _write(value: Any) -> str:
    """Flow style is YAML that needs no indentation; tags, anchors and aliases stand in it."""
    if isinstance(value, Tag):
        return value.mark if value.value is ALIAS else f"{value.mark} {_write(value.value)}"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{key if key == '<<' else json.dumps(key)}: {_write(value[key])}" for key in value) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_write, value)) + "]"
    return json.dumps(value)


def _untagged(value: Any) -> Any:
    """The reference takes a tag below `!override` for a type's name."""
    if isinstance(value, dict):
        return {key: _untagged(item) for key, item in value.items() if not isinstance(item, Tag)}
    return [item for item in value if not isinstance(item, Tag)] if isinstance(value, list) else value


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.files: dict[str, str] = {}
        self.plain = random.random() < 0.3
        """Without tags, merge keys and odd values: what is refused early shows little."""
        self.pool = random.sample(sorted(ATTRIBUTES), random.randint(3, 8))

    def case(self) -> Case:
        random = self.random
        self.files["e.env"] = "A=file\nN=${V}\n"
        self.files["f.env"] = "A=other\nO=1"
        names = ["a", "b", "c"][: random.randint(1, 3)]
        main: dict[str, Any] = {"services": _neighbours(), **self._resources(whole=True)}
        for index, name in enumerate(names):
            service = {"image": "i", **self.attributes()}
            if random.random() < 0.35:
                service["extends"] = self._extends(names[:index])
            main["services"][name] = service
        if random.random() < 0.35:
            main["include"] = [self._include(f"inc{index}") for index in range(random.randint(1, 2))]
        self.files["compose.yaml"] = self._documents(main, names)
        args: list[str] = []
        for index in range(random.choice([0, 1, 1, 1, 2])):
            file = random.choice(["", "sub/"]) + f"over{index}.yaml"
            self.files[file] = self._documents(self.override(names), names)
            args += ["-f", file]
        if args:
            args = ["-f", "compose.yaml", *args]
        if random.random() < 0.2:
            args = [*random.choice([["--profile", "p"], ["--profile", "*"], ["--all-resources"]]), *args]
        return Case(self.files, args, {"V": "val"})

    def _documents(self, document: dict[str, Any], names: list[str]) -> str:
        text = _write(self._merge_keys(document))
        if self.random.random() < 0.15:
            text += f"\n---\n{_write(self.override(names))}"
        return text + "\n"

    def _merge_keys(self, document: dict[str, Any]) -> dict[str, Any]:
        """Let services share what an extension field holds."""
        random = self.random
        if self.plain or random.random() < 0.7:
            return document
        shared = self.attributes()
        made: dict[str, Any] = {"x-shared": Tag("&shared", shared)}
        made.update(document)
        for service in document["services"].values():
            if isinstance(service, dict) and random.random() < 0.6:
                service["<<"] = Tag("*shared", ALIAS)
        return made

    def attributes(self) -> dict[str, Any]:
        random = self.random
        chosen = random.sample(self.pool, random.randint(1, len(self.pool)))
        return {name: self._tagged(ATTRIBUTES[name](random), 0.06) for name in chosen}

    def override(self, names: list[str]) -> dict[str, Any]:
        random = self.random
        services: dict[str, Any] = {}
        for name in [*names, "late"]:
            if random.random() < (0.9 if name == "late" else 0.2):
                continue
            service = {name: self._tagged(value, 0.2) for name, value in self.attributes().items()}
            if name == "late":
                service = {key: service[key] for key in service if key not in ("depends_on", "links")}
            if random.random() < 0.1:
                service["extends"] = self._extends([other for other in names if other != name])
            services[name] = self._tagged(service, 0.04)
        document = {"services": services}
        if random.random() < 0.4:
            document.update(self._resources(whole=False))
        return document

    def _tagged(self, value: Any, chance: float) -> Any:
        random = self.random
        if self.plain:
            return value
        if isinstance(value, Tag):
            return value
        if random.random() < chance:
            return Tag("!reset", None) if random.random() < 0.5 else Tag("!override", _untagged(value))
        if isinstance(value, dict) and random.random() < 0.3:
            return {key: self._tagged(item, 0.2) for key, item in value.items()}
        if isinstance(value, list) and random.random() < 0.05:
            return [self._tagged(item, 0.2) for item in value]
        return value

    def _extends(self, before: list[str]) -> Any:
        random = self.random
        if before and random.random() < 0.5:
            target = random.choice(before)
            return random.choice([target, {"service": target}])
        where = random.choice(["", "sub/", "sub/deep/"])
        number = len(self.files)
        path = f"{where}base{number}.yaml"
        base = {"image": "base", **self.attributes()}
        services = {f"base{number}": base}
        if random.random() < 0.4:
            services[f"root{number}"] = {"image": "root", **self.attributes()}
            base["extends"] = random.choice([f"root{number}", {"service": f"root{number}"}])
        elif random.random() < 0.4:
            self.files[f"{where}far{number}.yaml"] = _write(
                {"services": {f"far{number}": {"image": "far", **self.attributes()}}}
            )
            base["extends"] = {"file": f"far{number}.yaml", "service": f"far{number}"}
        self.files[path] = _write(self._merge_keys({"services": services}))
        return {"file": path, "service": f"base{number}"}

    def _include(self, name: str) -> Any:
        random = self.random
        where = random.choice(["", "sub/", "sub/deep/"])
        service = {"image": name, **self.attributes()}
        document: dict[str, Any] = {"services": {name: service, **_neighbours()}}
        if random.random() < 0.9:
            service = {key: value for key, value in service.items() if key not in ("configs", "secrets", "build")}
            document["services"][name] = service
        if random.random() < 0.3:
            number = len(self.files)
            self.files[f"{where}ibase{number}.yaml"] = _write(
                {"services": {f"ib{number}": {"image": "ib", **self.attributes()}}}
            )
            service["extends"] = {"file": f"ibase{number}.yaml", "service": f"ib{number}"}
        path = f"{where}{name}.yaml"
        self.files[path] = self._documents(document, [name])
        for wanted in ("e.env", "f.env"):
            self.files.setdefault(f"{where}{wanted}", f"W={where}\n")
        if random.random() < 0.4:
            return path
        entry: dict[str, Any] = {"path": path}
        if random.random() < 0.4:
            self.files[f"{where}{name}.over.yaml"] = _write(self.override([name]))
            entry["path"] = [path, f"{where}{name}.over.yaml"]
        if random.random() < 0.4:
            entry["project_directory"] = random.choice([".", "sub", "./sub/deep"])
            for folder in ("sub/", "sub/deep/"):
                for wanted in ("e.env", "f.env"):
                    self.files.setdefault(f"{folder}{wanted}", f"W={folder}\n")
        if random.random() < 0.3:
            entry["env_file"] = "f.env"
        return entry

    def _resources(self, *, whole: bool) -> dict[str, Any]:
        random = self.random
        made: dict[str, Any] = {}
        for kind, names in RESOURCES.items():
            chosen = {name: random.choice(forms) for name, forms in names.items() if whole or random.random() < 0.4}
            if whole:
                chosen = {name: names[name][0] for name in names}
            if chosen:
                made[kind] = {name: value if whole else self._tagged(value, 0.2) for name, value in chosen.items()}
        return made


RESOURCES: dict[str, dict[str, list[Any]]] = {
    "networks": {
        "n": [None, {"labels": ["A=1"]}, {"ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}, {"internal": True}],
        "m": [
            {"labels": {"A": "0", "B": "1"}, "ipam": {"config": [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}]}},
            {"labels": ["A=2"], "ipam": {"config": [{"subnet": "10.1.0.0/24", "ip_range": "10.1.0.0/28"}]}},
            {"ipam": {"config": [{"subnet": "10.2.0.0/24"}], "driver": "d", "options": {"o": "1"}}},
            {"driver_opts": {"x": "1"}, "enable_ipv6": True, "attachable": "true"},
        ],
        "default": [{"labels": {"A": "0"}}, {"name": "renamed"}, {"driver": "other"}, None],
    },
    "volumes": {
        "v": [None, {"labels": {"A": 1}}, {"driver_opts": {"a": 1}}, {"name": "other"}],
        "w": [{"labels": ["A=0", "B=1"], "driver_opts": {"a": "x"}}, {"labels": ["A=1"]}, None],
    },
    "configs": {"c": [{"content": "x"}, {"file": "./c"}, {"labels": ["A=1"]}, {"name": "cc"}]},
    "secrets": {"k": [{"file": "./k"}, {"environment": "V"}, {"labels": {"A": 1}}, {"name": "kk"}]},
}


def _some(*choices: Any) -> Callable[[Random], Any]:
    return lambda random: random.choice(choices)


def _sample(*items: Any, most: int = 3) -> Callable[[Random], Any]:
    return lambda random: random.sample(items, random.randint(0, min(most, len(items))))


def _fresh(prefix: str) -> Callable[[Random], Any]:
    """Items that are seldom the same: equal ones are refused."""
    return lambda random: [f"{prefix}{random.randint(0, 30)}" for _ in range(random.randint(0, 2))]


def _pairs(random: Random) -> Any:
    keys = random.sample(sorted(PAIRS), random.randint(0, 4))
    pairs = {key: random.choice([PAIRS[key], "other"]) for key in keys}
    if random.random() < 0.5:
        return pairs
    return [key if value is None else f"{key}={value}" for key, value in pairs.items()]


def _hook(random: Random) -> Any:
    hook: dict[str, Any] = {"command": random.choice(["a b", ["c"]])}
    if random.random() < 0.5:
        hook["environment"] = _pairs(random)
    if random.random() < 0.3:
        hook["user"] = "u"
    return [hook]


def _part(*makers: tuple[str, Any]) -> Callable[[Random], Any]:
    """A mapping of some of the attributes."""

    def make(random: Random) -> Any:
        chosen = random.sample(makers, random.randint(1, min(4, len(makers))))
        return {name: maker(random) if callable(maker) else maker for name, maker in chosen}

    return make


def _with(needed: dict[str, Any], make: Callable[[Random], Any]) -> Callable[[Random], Any]:
    return lambda random: {**needed, **make(random)}


def _either(*makers: Callable[[Random], Any]) -> Callable[[Random], Any]:
    return lambda random: random.choice(makers)(random)


def _list_of(*makers: Callable[[Random], Any]) -> Callable[[Random], Any]:
    return lambda random: [random.choice(makers)(random) for _ in range(random.randint(0, 3))]


_hosts = _either(
    _sample("h:1.1.1.1", "h=1.1.1.2", "i=[::1]", "h:1.1.1.1,2.2.2.2", "j:host-gateway"),
    _some({"h": "1.1.1.1"}, {"h": ["1.1.1.1", "3.3.3.3"]}, {"i": "::1", "h": "1.1.1.2"}, {}),
)
_limits = _some({"nofile": 5}, {"nofile": {"soft": 1, "hard": 2}}, {"nproc": 3, "nofile": {"soft": 3, "hard": "4"}}, {})
_devices = _list_of(
    _with({"capabilities": ["gpu"]}, _part(("driver", "d"), ("device_ids", ["0"]), ("options", _pairs))),
    _some({"capabilities": ["gpu"], "count": 1}, {"capabilities": ["x"]}),
)
_mounted = _list_of(
    _some("c", {"source": "c"}, {"source": "c", "target": "/c"}, {"source": "c", "target": "/d"}),
    _some({"source": "c", "mode": 0o440}, {"source": "c", "uid": "1", "target": "/c"}, "c"),
)
_update = _part(("parallelism", _some(1, "2")), ("delay", "1m"), ("order", _some("start-first", "stop-first")))

ATTRIBUTES: dict[str, Callable[[Random], Any]] = {
    "environment": _pairs,
    "labels": _pairs,
    "annotations": _pairs,
    "sysctls": _either(_some({"net.a": 1, "net.b": "2"}, ["net.a=3"], {"net.c": 1}, [])),
    "command": _some("a 'b c'", ["x", "y"], [], "", None),
    "entrypoint": _some("e f", ["g"], [], None),
    "healthcheck": _part(
        ("test", _some("t", ["CMD", "u"], ["NONE"])), ("interval", _some("1m", "90s")), ("retries", _some(1, "3")),
        ("disable", _some(True, False, "true")), ("start_interval", "5s"),
    ),
    "logging": _part(("driver", _some("x", "y", "")), ("options", _some({"a": "1"}, {"b": 2, "a": None}, {}))),
    "build": _either(
        _some(".", "./ctx", "https://x.io/a.git"),
        _part(
            ("context", _some("ctx", "../up", ".")), ("args", _pairs), ("labels", _pairs), ("target", "t"),
            ("cache_from", _sample("a", "b")), ("tags", _sample("a:1", "b", "a=2")), ("extra_hosts", _hosts),
            ("additional_contexts", _some({"r": "./r"}, ["r=./s", "q=docker-image://x"], {"q": "../q"})),
            ("ulimits", _limits), ("secrets", _some(["k"], [{"source": "k", "target": "t"}])), ("dockerfile", "D"),
            ("platforms", _sample("linux/amd64", "linux/arm64")), ("no_cache", True), ("shm_size", _some("1m", 5)),
            ("provenance", _some(True, "mode=max")), ("entitlements", _sample("a", "b")), ("network", "host"),
            ("ssh", _some(["default"], {"default": None})), ("pull", _some(True, "false")), ("sbom", False),
        ),
    ),
    "depends_on": _either(
        _sample("late", "z"),
        _some({"late": {"condition": "service_healthy"}}, {"late": {"condition": "service_started", "required": False}},
              {"z": {"condition": "service_started", "restart": True, "required": False}}),
    ),
    "networks": _either(
        _sample("n", "m", "default"),
        _some({"n": None}, {"n": {"aliases": ["q", "r"]}, "m": {}}, {"n": {"aliases": ["q"], "priority": 3}},
              {"m": {"ipv4_address": "10.1.0.5", "link_local_ips": ["1.1.1.1"]}}, {"n": {"driver_opts": {"a": "b"}}}),
    ),
    "ports": _list_of(
        _some(80, "80", "80:80", "81:80", "80/udp", "80-81", "80-81:80-81", "127.0.0.1:80:80", "[::1]:80:80", "80:80/tcp"),
        _some({"target": 80}, {"target": 80, "published": 80}, {"target": 80, "published": "80"},
              {"target": 80, "published": "80", "mode": "host"}, {"target": 81, "published": "80-81"},
              {"target": 80, "host_ip": "0.0.0.0", "published": "80"}, {"target": 80, "protocol": "udp", "name": "n"}),
    ),
    "expose": _sample(80, "80", "81-82", "80/tcp", "80/udp"),
    "volumes": _list_of(
        _some("/t", "v:/t", "./d:/t", "./d:/t:ro", "w:/u:nocopy", "~/h:/u", "../up:/u:z", "/t/", "v:/t/"),
        _some({"type": "bind", "source": "./e", "target": "/t"}, {"type": "volume", "source": "v", "target": "/u"},
              {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}}, {"type": "volume", "target": "/t"},
              {"type": "bind", "source": "./e", "target": "/u", "bind": {"create_host_path": False}},
              {"type": "image", "source": "im", "target": "/i", "image": {"subpath": "s"}}),
    ),
    "configs": _mounted,
    "secrets": _list_of(
        _some("k", {"source": "k"}, {"source": "k", "target": "k"}, {"source": "k", "target": "/run/secrets/k"}),
        _some({"source": "k", "target": "/s", "mode": "0440"}, {"source": "k", "target": "other", "gid": "3"}),
    ),
    "ulimits": _limits,
    "extra_hosts": _hosts,
    "dns": _some("1.1.1.1", ["1.1.1.1", "2.2.2.2"], ["2.2.2.2"], [], "", ["", "3.3.3.3"]),
    "dns_search": _some("a.b", ["a.b", "c"], [], "c"),
    "dns_opt": _sample("a", "b:1"),
    "tmpfs": _some("/tmp1", ["/tmp1", "/tmp2:size=1m"], ["/tmp2"], []),
    "devices": _list_of(
        _some("/dev/a", "/dev/a:/dev/b", "/dev/a:/dev/b:r", "/dev/c:/dev/a", "v.io/d=x"),
        _some({"source": "/dev/q", "target": "/dev/a", "permissions": "r"}, {"source": "/dev/a"}),
    ),
    "env_file": _either(
        _some("e.env", "./e.env", "f.env"),
        _list_of(_some("e.env", "./e.env", "f.env"), _some({"path": "e.env"}, {"path": "none.env", "required": False},
                                                          {"path": "f.env", "format": "raw"})),
    ),
    "cap_add": _sample("CHOWN", "KILL", "ALL"),
    "cap_drop": _sample("CHOWN", "KILL", "ALL"),
    "security_opt": _fresh("a:"),
    "group_add": _fresh("g"),
    "links": _sample("late", "late:l", "z"),
    "external_links": _fresh("x:"),
    "volumes_from": _fresh("container:"),
    "device_cgroup_rules": _fresh("c 1:1 "),
    "profiles": _sample("p", "q", most=1),
    "post_start": _hook,
    "pre_stop": _hook,
    "develop": lambda random: {"watch": [
        {"path": random.choice([".", "./src"]), "action": "rebuild", **random.choice([{}, {"ignore": ["a"]}, {"include": "b"}])}
        for _ in range(random.randint(1, 2))
    ]},
    "deploy": _part(
        ("labels", _pairs), ("replicas", _some(1, 2)), ("mode", "global"), ("update_config", _update),
        ("rollback_config", _update), ("endpoint_mode", "vip"),
        ("restart_policy", _part(("condition", _some("any", "none")), ("max_attempts", 3), ("window", "1s"))),
        ("placement", _part(("constraints", _sample("a==b", "c")), ("preferences", [{"spread": "x"}]),
                            ("max_replicas_per_node", 1))),
        ("resources", _part(
            ("limits", _part(("cpus", _some("0.5", 1)), ("memory", _some("1g", "512m")), ("pids", 5))),
            ("reservations", _part(
                ("memory", "1m"), ("devices", _devices),
                ("generic_resources", [{"discrete_resource_spec": {"kind": "g", "value": 1}}]))),
        )),
    ),
    "blkio_config": _part(
        ("weight", _some(10, 20)), ("weight_device", [{"path": "/dev/a", "weight": 1}]),
        ("device_read_bps", _some([{"path": "/dev/a", "rate": "1m"}], [{"path": "/dev/a", "rate": 5}])),
    ),
    "gpus": _either(_some("all"), _devices),
    "storage_opt": _some({"size": "1g"}, {"size": "2g", "a": 1}),
    "credential_spec": _some({"file": "f"}, {"config": "c"}),
    "label_file": _some("e.env", ["e.env", "f.env"], []),
    "restart": _some("always", "no", "on-failure:2"),
    "stop_grace_period": _some("1m", "0.5s"),
    "tty": _some(True, False, "yes"),
    "init": _some(True, False),
    "mem_limit": _some("1g", 5, "0"),
    "scale": _some(1, 2, 0),
    "x-field": _some({"a": 1, "b": [1]}, {"a": 2, "b": [2]}, [1], "x", None),
    "models": _some([], {}),
    "provider": _some({"type": "t", "options": {"a": 1}}, {"type": "u", "options": {"b": ["1", 2]}}),
    "network_mode": _some("host", "none", "bridge"),
}  # fmt: skip
