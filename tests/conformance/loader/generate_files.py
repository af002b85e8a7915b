"""Projects of several files made at random: includes, extends across directories, overrides with tags, env files.

What matters is how directories, variables and merge rules combine, so every piece is small and most are valid.
"""

from __future__ import annotations

import json
import os.path
from typing import TYPE_CHECKING, Any

from tests.conformance.loader.generate import ATTRIBUTES
from tests.kit.peer_compose import Case

if TYPE_CHECKING:
    from random import Random

DIRECTORIES = ("", "a/", "a/b/", "c/")
TEMPLATES = (
    "${V}", "$V", "${U:-d}", "${U-d}", "${E:-d}", "${E-d}", "${V:+alt}", "${U+alt}", "${E+alt}", "${E:+alt}", "$$V",
    "${V:-${U:-x}}", "${U:-${V}-y}", "${U:-a b}", "pre-${V}-post", "${U:-}", "${NUM}", "${W}", "${A_1}", "${U:-$$x}",
    "${V?no}", "${V:?no}", "a $ b", "$ {V}", '${U:-{"a": 1}}', "${U:-/x:y}", "${FROM_ENV}", "${v}", "${U:-$V}", "$V$W",
    "${U:-'q'}", "${MULTI}", "${TRUE}", "$$$V", "$${V}", "${U:+${V}}", "${U:-a:-b}", "${U-a?b}", "${V:-a}b}",
)  # fmt: skip
ENV_LINES = (
    "A=1", "B='single $V'", 'C="double $V"', "D=${V}", "E2=${A}-x", "F=a b c", "G=a #c", "H=a#c", "export I=1", "J: yaml",
    "K", "V", "L=", "M=''", 'N="a\\nb"', 'O="a\nb"', "P='a\nb'", "Q=\\$V", "R=$$V", "# comment", "", "  S=indent", "T = spaces",
    "U1=${U:-dflt}", 'W1="${W:-x}"', "X='it''s'", 'Y="q\\"q"', "Z=a=b=c", 'AA="x" # c', "AB='x' # c", 'AC="x"y', "a.b=1",
    "a-b=1", "AD=\t tab", "AE=trail   ", "AF=`x`", "AG=${UNSET_}", "AH=x\\ny", "AI='x\\ny'", 'AJ="x\\ty"', "AK=$A$B", "AL=${A:+y}",
    "DUP=1", "DUP=2", "AM='${V}'", 'AN="\\${V}"', "AO=\\\\", "AP=a\\", "AQ=*", "AR=~/x", "export AS", 'AT="$(echo)"', "AU=$", "AV=a$",
)  # fmt: skip


def case(random: Random) -> Case:
    """A project with arguments and environment."""
    files: dict[str, str] = {}
    maker = _Maker(random, files)
    main = maker.document("", depth=0)
    files["compose.yaml"] = _write(main)
    args: list[str] = []
    if random.random() < 0.6:
        files["override.yaml"] = _write(maker.override(main))
        args = ["-f", "compose.yaml", "-f", "override.yaml"]
    if random.random() < 0.3:
        args = ["--profile", random.choice(["p", "*"]), *args]
    if random.random() < 0.2:
        args = ["--project-directory", random.choice(["a", "."]), *args]
        files.setdefault("a/x.env", "FROM_A=1\n")
    if random.random() < 0.5:
        files[".env"] = maker.env_file()
    if random.random() < 0.2:
        files["other.env"] = maker.env_file()
        args = ["--env-file", "other.env", *args]
    if random.random() < 0.1:
        args = ["--all-resources", *args]
    if random.random() < 0.1:
        args = ["-p", "named", *args]
    for path in maker.wanted:
        files.setdefault(path, maker.env_file())
    env = {"V": "val", "E": "", "NUM": "12", "A_1": "under", "TRUE": "true", "MULTI": "x\ny"}
    return Case(files, args, env)


class _Maker:
    def __init__(self, random: Random, files: dict[str, str]) -> None:
        self.random = random
        self.files = files
        self.wanted: list[str] = []
        self.number = 0
        self.targets: dict[str, str] = {}
        """The service that others extend, of each file of base services."""

    def document(self, directory: str, depth: int) -> dict[str, Any]:
        random = self.random
        names = [self._name() for _ in range(random.randint(1, 3))]
        services = {name: self.service(directory, names, depth) for name in names}
        document: dict[str, Any] = {"services": services, **self._resources()}
        if depth < 2 and random.random() < 0.5:
            document["include"] = [self._include(directory, depth) for _ in range(random.randint(1, 2))]
        if depth == 0 and random.random() < 0.2:
            document["name"] = random.choice(["my${V}", "plain", "${U:-dflt}"])
        return document

    def _name(self) -> str:
        self.number += 1
        return f"s{self.number}"

    def _resources(self) -> dict[str, Any]:
        some = self.random.choice
        return {
            "networks": {"n1": None, "n2": {"labels": {"a": self.template()}}},
            "volumes": {
                "v1": some(
                    [None, {}, {"driver_opts": {"o": "bind", "type": "none", "device": "./dev"}, "driver": "local"}]
                ),
                "v2": some([None, {"name": "fixed-${V}"}]),
            },
            "configs": {"c1": {"file": "./c1"}, "c2": {"content": self.template()}},
            "secrets": {"k1": {"file": "~/k1"}, "k2": {"environment": "V"}},
        }

    def template(self) -> str:
        return self.random.choice(TEMPLATES)

    def service(self, directory: str, names: list[str], depth: int) -> dict[str, Any]:
        random = self.random
        service: dict[str, Any] = {"image": random.choice(["img:1", "img:${NUM}", "${U:-r.io/a}/b"])}
        for attribute in random.sample(sorted(ATTRIBUTES), random.randint(0, 5)):
            if attribute not in ("env_file", "profiles"):
                service[attribute] = ATTRIBUTES[attribute](random)
        if random.random() < 0.5:
            service["environment"] = self._environment()
        if random.random() < 0.4:
            service["env_file"] = self._env_files(directory)
        if random.random() < 0.15:
            service["label_file"] = random.choice([["l.env"], "l.env"])
            self.files.setdefault(f"{directory}l.env", "L1=1\nL2=${V}\n")
        if random.random() < 0.2:
            service["profiles"] = random.choice([["p"], ["q"], ["p", "q"]])
        if random.random() < 0.3:
            service["volumes"] = random.sample(
                ["./rel:/rel", "../up:/up", "v1:/v1", "~/h:/h", "/abs:/abs:ro", "${U:-./dflt}:/t", "/anon", ".:/dot"], 2
            )
        if random.random() < 0.2:
            service["build"] = random.choice(
                [".", "./ctx", "../x", {"context": "ctx", "dockerfile": "D", "args": ["V", "A=${V}"]},
                 {"context": "https://x.io/a.git#b", "additional_contexts": {"r": "./r", "i": "docker-image://x"}},
                 {"ssh": ["default"], "secrets": ["k1"], "cache_from": ["a", "b"]}]
            )  # fmt: skip
        if depth < 2 and random.random() < 0.4:
            service["extends"] = self._extends(directory, depth)
            if random.random() < 0.5:
                service.pop("image")
        elif random.random() < 0.1:
            service["x-y"] = {"$ref": self.template()}
        return service

    def _environment(self) -> Any:
        random = self.random
        keys = random.sample(["P1", "P2", "V", "UNSET_", "E", "A", "FROM_ENV", "P3"], 3)
        pairs = {key: random.choice([self.template(), None, 1, True, "yes", 1.50, "", "a=b", "010"]) for key in keys}
        if random.random() < 0.5:
            return pairs
        return [key if value is None else f"{key}={value}" for key, value in pairs.items()]

    def _env_files(self, directory: str) -> Any:
        random = self.random
        name = random.choice(["e1.env", "sub/e2.env", "e3.env"])
        self.wanted.append(f"{directory}{name}")
        return random.choice(
            [name, f"./{name}", [name], [{"path": name}], [name, {"path": "none.env", "required": False}],
             [{"path": name, "format": "raw"}] if random.random() < 0.3 else [{"path": f"./{name}", "required": True}]]
        )  # fmt: skip

    def _extends(self, directory: str, depth: int) -> dict[str, Any]:
        random = self.random
        where = random.choice(DIRECTORIES)
        path = f"{where}base{self.number}d{depth}.yaml"
        if path not in self.files:
            # the reference takes equal names in different files for a circle
            base, second = f"base{self.number}", f"second{self.number}"
            self.number += 1
            inner = {base: self.service(where, [base], depth + 1)}
            for attribute in ("depends_on", "links", "profiles"):
                inner[base].pop(attribute, None)
            if random.random() < 0.3:
                inner[second] = {"extends": base, "labels": {"second": self.template()}}
            self.files[path] = _write({"services": inner, **self._resources()})
            self.targets[path] = list(inner)[-1]
        return {"file": _relative(directory, path), "service": self.targets[path]}

    def _include(self, directory: str, depth: int) -> Any:
        random = self.random
        where = random.choice(DIRECTORIES)
        self.number += 1
        path = f"{where}inc{self.number}.yaml"
        document = self.document(where, depth + 1)
        for kind in ("networks", "volumes", "configs", "secrets"):
            document.pop(kind)
        for service in document["services"].values():
            for key in ("networks", "volumes", "configs", "secrets", "build"):
                service.pop(key, None)
        if random.random() < 0.5:
            document["volumes"] = {f"iv{self.number}": None}
            for service in document["services"].values():
                service["volumes"] = [f"iv{self.number}:/iv", "./irel:/irel"]
        self.files[path] = _write(document)
        if random.random() < 0.4:
            self.files[f"{where}.env"] = self.env_file()
        located = _relative(directory, path)
        if random.random() < 0.4:
            return random.choice([located, f"./{located}"])
        entry: dict[str, Any] = {"path": random.choice([located, [located]])}
        if random.random() < 0.4:
            entry["project_directory"] = random.choice([".", _relative(directory, where or ".")])
        if random.random() < 0.5:
            self.files[f"{directory}inc.env"] = self.env_file()
            entry["env_file"] = random.choice(["inc.env", ["inc.env"], "./inc.env"])
        return entry

    def env_file(self) -> str:
        # a name that stands alone in the last line, without a newline, is a documented difference
        lines = [*self.random.sample(ENV_LINES, self.random.randint(0, 6)), "LAST=1"]
        return "\n".join(lines) + self.random.choice(["\n", ""])

    def override(self, base: dict[str, Any]) -> dict[str, Any]:
        """A second file over the first, some values under `!reset` or `!override`."""
        random = self.random
        services: dict[str, Any] = {}
        for name, before in base["services"].items():
            if random.random() < 0.3:
                continue
            over: dict[str, Any] = {}
            for attribute in random.sample(sorted(before), min(len(before), 3)):
                if attribute in ("extends", "env_file", "image"):
                    continue
                made = ATTRIBUTES[attribute](random) if attribute in ATTRIBUTES else before[attribute]
                kind = random.random()
                over[attribute] = Tag("!reset", None) if kind < 0.2 else Tag("!override", made) if kind < 0.4 else made
            if random.random() < 0.3:
                over["environment"] = self._environment()
            services[name] = over
        if random.random() < 0.1 and len(services) > 1:
            services[next(iter(services))] = Tag("!reset", None)
        made = {"services": services}
        if random.random() < 0.3:
            made["networks"] = {
                "n2": random.choice([Tag("!reset", None), {"internal": True}, None, {"labels": ["b=1"]}])
            }
        return made


class Tag:
    """A value under a tag."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


def _relative(directory: str, path: str) -> str:
    return os.path.relpath(path, directory or ".")


def _write(value: Any) -> str:
    """JSON is YAML, and the tags can stand in it."""
    return _flow(value) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, Tag):
        return f"{value.tag} {_flow(value.value)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value)
