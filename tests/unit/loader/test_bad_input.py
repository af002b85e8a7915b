"""Hostile and mistaken files are refused quickly, with the place, what was found and what would be right."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

WEB = "services:\n  web:\n    image: x\n"
BOMB = "l0: &l0 [a,a,a,a,a,a,a,a,a,a]\n" + "".join(
    f"l{i}: &l{i} [{','.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGE_BOMB = "x0: &x0 {a: 1}\n" + "".join(
    f"x{i}: &x{i} {{<<: *x{i - 1}, b{i}: {{<<: *x{i - 1}}}}}\n" for i in range(1, 30)
)

REFUSED: dict[str, tuple[str | bytes, str, str]] = {
    # name: text, place, part of the message
    "billion laughs": (BOMB, "5:38", "aliases expand to more than 100000 nodes (anchor &l3)"),
    "merge bomb": (MERGE_BOMB, "14:32", "excessive aliasing"),
    "an anchor that merges itself": (
        "services:\n  a: &w\n    <<: *w\n    image: x\n",
        "3:9",
        "anchor &w merges itself",
    ),
    "an anchor that contains itself": ("x-a: &a\n  b: *a\n", "2:6", "cycle detected: anchor &a contains itself"),
    "an unknown anchor": ("x: *nope\n", "1:4", "unknown anchor 'nope' referenced"),
    "200 KB of [": ("x: " + "[" * 200_000, "1:203", "exceeded max depth"),
    "200 KB of {": ("x: " + "{a: " * 50_000, "1:800", "exceeded max depth"),
    "deep block mappings": ("".join("  " * i + "a:\n" for i in range(400)), "201:401", "exceeded max depth"),
    "deep block sequences": ("- " * 5000 + "a", "1:401", "exceeded max depth"),
    "an empty file": (" ", "", "empty compose file"),
    "comments only": ("# nothing\n", "", "empty compose file"),
    "a list at the top": (
        "[a]\n",
        "1:1",
        "top-level object must be a mapping; expected `services:` and such, not a list",
    ),
    "a scalar at the top": (
        "abc\n",
        "1:1",
        'top-level object must be a mapping; expected `services:` and such, not "abc"',
    ),
    "a tab": ("services:\n\tweb:\n", "2:1", "found character that cannot start any token: tab used for indentation"),
    "a key twice": (f"{WEB}    image: y\n", "4:5", 'mapping key "image" already defined at line 3'),
    "two colons": ("services:\n  a: b: c\n", "2:7", "mapping values are not allowed in this context"),
    "an open quote": ("services:\n  a: 'x\n", "2:6", "found unexpected end of stream"),
    "a byte that is not UTF-8": (b'services: {a: {image: "\xff"}}', "1:24", "byte 0xff is not UTF-8"),
    "half a character": (b'services: {a: {image: "\xc3("}}', "1:24", "invalid trailing UTF-8 octet"),
    "a NUL byte": ('services: {a: {image: "\0"}}', "1:24", "control characters are not allowed"),
    "a Python object": ("x: !!python/object/apply:os.system [id]\n", "1:4", "objects are never constructed"),
    "an unknown key": ("services:\n  web:\n    imagee: x\n", "3:5", 'not allowed; did you mean "image"?'),
    "an unknown key at the top": ("servcies: {}\n", "1:1", 'did you mean "services"?'),
    "a null service": ("services:\n  web:\n", "2:3", "services.web must be a mapping; expected a mapping, not null"),
    "ports as text": (f"{WEB}    ports: '80'\n", "4:5", "services.web.ports must be a array"),
    "an image that is a number": ("services: {a: {image: 5}}\n", "1:16", "expected a string, not the number 5"),
    "a nested variable": (f"{WEB}    environment: {{A: [b]}}\n", "4:19", "must be a boolean, null, number or string"),
    "a date": (f"{WEB}    environment: {{A: 2020-01-01}}\n", "4:19", 'not a date; expected quotes: "2020-01-01"'),
    "a boolean key": ("services: {true: {image: x}}\n", "1:12", "non-string key in services: true; expected a string"),
    "a service that extends itself": ("services: {a: {image: x, extends: a}}\n", "1:26", "Circular reference"),
    "a missing base": ("services: {a: {image: x, extends: zzz}}\n", "1:26", 'service "zzz" not found'),
    "a missing base file": (
        "services: {a: {extends: {file: no.yaml, service: b}}}\n",
        "1:16",
        "no such file or directory",
    ),
    "an include of itself": (f"include: [compose.yaml]\n{WEB}", "1:11", "include cycle detected"),
    "a missing include": (f"include:\n  - nope.yaml\n{WEB}", "2:5", "no such file or directory"),
    "a dependency cycle": (
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
        "3:30",
        "dependency cycle detected: a -> b -> a",
    ),
    "a dependency that does not exist": (f"{WEB}    depends_on: [wbe]\n", "4:18", 'undefined service "wbe"'),
    "a condition that does not exist": (
        f"{WEB}    depends_on: {{db: {{condition: healthy}}}}\n  db: {{image: x}}\n",
        "4:23",
        "value must be one of 'service_started'",
    ),
    "an undefined network": (f"{WEB}    networks: [n]\n", "4:16", "expected `n:` under top-level `networks:`"),
    "an undefined volume": (f"{WEB}    volumes: ['data:/d']\n", "4:15", "refers to undefined volume data"),
    "an undefined secret": (f"{WEB}    secrets: [s]\n", "4:15", "refers to undefined secret s"),
    "a required variable": (
        f"{WEB}    command: ${{IMG:?need IMG}}\n",
        "4:5",
        "required variable IMG is missing a value: need IMG",
    ),
    "an open template": (
        f"{WEB}    command: ${{IMG\n",
        "4:5",
        "invalid interpolation format for services.web.command.",
    ),
    "an operator that does not exist": (f"{WEB}    command: ${{A!b}}\n", "4:5", "invalid interpolation format"),
    "150,000 templates in each other": (
        f"{WEB}    command: '{'${A:-' * 150_000}{'}' * 150_000}'\n",
        "4:5",
        "interpolation nests deeper than 100 levels",
    ),
    "20,000 unknown keys": (
        WEB + "".join(f"    key{number}: 1\n" for number in range(20_000)),
        "4:5",
        "additional properties 'key0' not allowed",
    ),
    "a numeric key": ("services: {a: {image: x}, 5: {image: x}}\n", "1:27", 'expected a string: quote it, "5"'),
    "a service that depends on itself": (
        f"{WEB}    depends_on: [web]\n",
        "4:18",
        "dependency cycle detected: web -> web",
    ),
    "an undefined config": (f"{WEB}    configs: [s]\n", "4:15", "refers to undefined config s"),
    "an address that is none": (f"{WEB}    ports: ['1.2.3.999:80:80']\n", "4:13", "invalid IP address: 1.2.3.999"),
    "an address twice": (
        (
            "services:\n  a: {image: x, networks: {n: {ipv4_address: 10.0.0.5}}}\n"
            "  b: {image: x, networks: {n: {ipv4_address: 10.0.0.5}}}\n"
            "networks: {n: {ipam: {config: [{subnet: 10.0.0.0/8}]}}}\n"
        ),
        "3:32",
        'Address already in use: 10.0.0.5 is also given to service "a"',
    ),
    "a name with a digit first": (f"{WEB}    command: ${{1A}}\n", "4:5", "invalid interpolation format"),
    "a boolean that is none": (f"{WEB}    read_only: maybe\n", "4:5", "invalid boolean: maybe; expected true or false"),
    "a size that is none": (f"{WEB}    mem_limit: lots\n", "4:5", "invalid size: 'lots'; expected a number and a unit"),
    "a number that is none": (f"{WEB}    cpus: many\n", "4:5", 'invalid number: "many"; expected a number'),
    "a number of 5000 digits": (f"{WEB}    cpus: {'9' * 5000}\n", "4:5", "invalid number"),
    "an unknown unit of time": (
        f"{WEB}    stop_grace_period: 5x\n",
        "4:5",
        'unknown unit "x" in duration "5x"; expected',
    ),
    "a port beyond the last": (f"{WEB}    ports: ['70000']\n", "4:13", "invalid containerPort: 70000"),
    "a negative port": (f"{WEB}    ports: ['-1:80']\n", "4:13", "invalid hostPort: -1"),
    "a protocol": (f"{WEB}    ports: ['80/xyz']\n", "4:13", "invalid proto: xyz"),
    "unequal ranges": (f"{WEB}    ports: ['1-2:1-3']\n", "4:13", "invalid ranges specified"),
    "too many ports": (f"{WEB}    ports: ['1-9999', '1-60000/udp']\n", "4:23", "more than 65535 ports"),
    "one host port twice": (
        "services:\n  a: {image: x, ports: ['8080:80']}\n  b: {image: x, ports: ['8080:81']}\n",
        "3:25",
        'port is already allocated: 8080/tcp of the host is also published by service "a" (line 2)',
    ),
    "a subnet that is none": (
        f"{WEB}    networks: [n]\nnetworks: {{n: {{ipam: {{config: [{{subnet: 10.0/99}}]}}}}}}\n",
        "5:33",
        "invalid CIDR block notation",
    ),
    "overlapping subnets": (
        (
            f"{WEB}    networks: [n, m]\nnetworks:\n  n: {{ipam: {{config: [{{subnet: 10.0.0.0/8}}]}}}}\n"
            "  m: {ipam: {config: [{subnet: 10.1.0.0/16}]}}\n"
        ),
        "6:24",
        "Pool overlaps with other one on this address space",
    ),
    "a gateway outside": (
        f"{WEB}    networks: [n]\nnetworks: {{n: {{ipam: {{config: [{{subnet: 10.0.0.0/8, gateway: 11.0.0.1}}]}}}}}}\n",
        "5:53",
        "doesn't contain this address 11.0.0.1",
    ),
    "an address outside": (
        f"{WEB}    networks: {{n: {{ipv4_address: 12.0.0.5}}}}\nnetworks: {{n: {{ipam: {{config: [{{subnet: 10.0.0.0/8}}]}}}}}}\n",
        "4:20",
        "no configured subnet or ip-range contain the IP address 12.0.0.5",
    ),
    "an address without a subnet": (
        f"{WEB}    networks: {{n: {{ipv4_address: 10.0.0.5}}}}\nnetworks: {{n: }}\n",
        "4:20",
        "only when connecting to networks with user configured subnets",
    ),
    "an empty volume": (f"{WEB}    volumes: ['']\n", "4:15", "invalid empty volume spec"),
    "a volume of five parts": (f"{WEB}    volumes: ['aa:bb:cc:dd:ee']\n", "4:15", "too many colons"),
    "a relative target": (f"{WEB}    volumes: ['/a:b/c']\n", "4:15", "mount path must be absolute"),
    "a mount on the root": (f"{WEB}    volumes: ['/a:/']\n", "4:15", "destination can't be '/'"),
    "one target twice": (f"{WEB}    volumes: ['/a:/t']\n    tmpfs: [/t]\n", "4:15", "target /t already mounted as"),
    "a name with a space": ("services: {'we b': {image: x}}\n", "1:12", "expected a name of letters, digits"),
    "a container name with a space": (f"{WEB}    container_name: a b\n", "4:5", "does not match pattern"),
    "one container name twice": (
        "services:\n  a: {image: x, container_name: cc}\n  b: {image: x, container_name: cc}\n",
        "3:17",
        'container name "cc" is already in use by service a',
    ),
    "a container name and replicas": (
        f"{WEB}    container_name: cc\n    deploy: {{replicas: 3}}\n",
        "4:5",
        "can't set container_name and deploy.replicas as container name must be unique",
    ),
    "a restart policy": (
        f"{WEB}    restart: sometimes\n",
        "4:5",
        "unknown policy 'sometimes'; use one of 'no', 'always'",
    ),
    "negative replicas": (f"{WEB}    deploy: {{replicas: -1}}\n", "4:14", "must be greater than or equal to 0"),
    "too many replicas": (f"{WEB}    deploy: {{replicas: 99999999999999999999}}\n", "4:14", "integer out of range"),
    "a missing env_file": (f"{WEB}    env_file: no.env\n", "4:5", "not found: stat"),
    "neither image nor build": (
        "services:\n  web:\n    command: x\n",
        "2:3",
        "has neither an image nor a build context",
    ),
    "a capability": (
        f"{WEB}    cap_add: [NET_ADMN]\n",
        "4:15",
        'unknown capability "CAP_NET_ADMN"; did you mean "NET_ADMIN"?',
    ),
    "a sysctl of the host": (
        f"{WEB}    sysctls: {{vm.swappiness: 1}}\n",
        "4:15",
        "is not in a separate kernel namespace",
    ),
    "device permissions": (f"{WEB}    devices: ['/dev/a:/dev/a:rx']\n", "4:15", 'invalid device mode "rx"'),
    "a short name with its letters swapped": (
        f"{WEB}    depends_on: [bd]\n  db: {{image: x}}\n",
        "4:18",
        'depends on undefined service "bd": invalid compose project; did you mean "db"?',
    ),
    "a name in capitals": (f"{WEB}    depends_on: [DB]\n  db: {{image: x}}\n", "4:18", 'did you mean "db"?'),
    "a base that is not there": (
        f"{WEB}    extends: {{service: wbe}}\n  wbf: {{image: x}}\n",
        "4:5",
        'service "wbe" not found (services there: wbf, web); did you mean "wbf"?',
    ),
    "a variable of digits": ("services: {a: {image: 'x:${1}'}}\n", "1:16", "expected ${NAME}, ${NAME:-default}, "),
    "a duration without unit": (
        f"{WEB}    healthcheck: {{test: x, interval: 30}}\n",
        "4:28",
        'expected a string, not the number 30 (with a unit: "30s")',
    ),
    "an image in capitals": ("services: {a: {image: Upper/Case}}\n", "1:16", "must be lowercase"),
    "an image with two tags": ("services: {a: {image: 'a:b:c'}}\n", "1:16", "invalid reference format"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_bad_file_is_refused_with_place_and_reason(workdir: Any, name: str) -> None:
    text, place, part = REFUSED[name]
    began = time.process_time()
    problems = workdir.problems(text)
    assert time.process_time() - began < 1
    assert any(
        part in problem and problem.startswith(f"compose.yaml:{place}" if place else "") for problem in problems
    ), problems


def test_networks_that_must_go_are_not_looked_for(workdir: Any) -> None:
    (problem,) = workdir.problems(f"{WEB}    network_mode: host\n    networks: [nowhere]\n")
    assert "mutually exclusive `network_mode` and `networks`" in problem


def test_hostile_files_take_less_than_100_mb(tmp_path: Any) -> None:
    hostile = {name: entry[0] for name, entry in (*REFUSED.items(), *ACCEPTED.items()) if len(entry[0]) > 300}
    for number, text in enumerate(hostile.values()):
        (tmp_path / f"{number}.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), str(len(hostile))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(done.stdout) < 100 * 1024


MEASURE = """
import sys
from compose.errors import ComposeError
from compose.loader.options import LoadOptions
from compose.loader.pipeline import load
for number in range(int(sys.argv[2])):
    try:
        load(LoadOptions(cwd=sys.argv[1], files=(f"{number}.yaml",)))
    except ComposeError:
        continue
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
"""Loads one file after the other in a process of its own and prints the most memory it had, in KiB (ru_maxrss would count the parent's before exec)."""

ACCEPTED: dict[str, tuple[str | bytes, float]] = {
    "100,000 keys of an extension": (
        "x-m:\n" + "".join(f"  key{i}: value {i} padding padding padding padding\n" for i in range(100_000)) + WEB,
        6,
    ),
    "a chain of 3000 dependencies": (
        "services:\n"
        + "".join(f"  s{i}: {{image: x, depends_on: [s{i + 1}]}}\n" for i in range(3000))
        + "  s3000: {image: x}\n",
        3,
    ),
    "a chain of 300 extends": (
        "services:\n" + "".join(f"  s{i}: {{extends: s{i + 1}}}\n" for i in range(300)) + "  s300: {image: x}\n",
        2,
    ),
    "50,000 templates in one text": (f"{WEB}    command: '{'${A:-x}' * 50_000}'\n", 3),
    "a text shared 20,000 times": (f"x-a: &a {'y' * 100_000}\nx-b: [{','.join(['*a'] * 20_000)}]\n{WEB}", 2),
    "UTF-16": ("services: {a: {image: x}}".encode("utf-16"), 1),
    "a byte order mark": (b"\xef\xbb\xbfservices: {a: {image: x}}", 1),
    "carriage returns": ("services:\r\n  a:\r\n    image: x\r\n", 1),
    "a file of 2000 documents": ("---\nx-a: 1\n" * 2000 + "---\n" + WEB, 2),
    "no services": ("volumes: {v: }\n", 1),
    "5000 services": ("services:\n" + "".join(f"  s{i}: {{image: x}}\n" for i in range(5000)), 2),
}


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_an_unusual_file_is_accepted_in_time(workdir: Any, name: str) -> None:
    text, seconds = ACCEPTED[name]
    began = time.process_time()
    workdir.load(text)
    assert time.process_time() - began < seconds


BAD_ENV: dict[str, tuple[str | bytes, int, str]] = {
    "values that grow": (
        "A0=xxxxxxxxxxxxxxxx\n"
        + "".join(f"A{i}=${{A{i - 1}}}${{A{i - 1}}}${{A{i - 1}}}${{A{i - 1}}}\n" for i in range(1, 15)),
        10,
        "expands to more than 1 MiB",
    ),
    "a key with a space": ("OK=1\n\nA B=1\n", 3, "key cannot contain a space"),
    "an open quote": ("OK=1\nB='x\nC=2\n", 2, "unterminated quoted value 'x"),
    "a million backslashes": ('A="' + "\\" * 1_000_001, 1, "unterminated quoted value"),
    "bytes": (b"\x00\xff\xfe", 1, "is not UTF-8"),
    "a strange name": ("A*=1\n", 1, 'unexpected character "*" in variable name'),
    "a bad template": ("OK=1\nA=${B\n", 2, "invalid template"),
}


@pytest.mark.parametrize("name", sorted(BAD_ENV))
def test_a_bad_env_file_is_refused_at_its_line_and_where_it_is_named(workdir: Any, name: str) -> None:
    content, line, part = BAD_ENV[name]
    workdir.write("bad.env", content)
    began = time.process_time()
    (problem,) = workdir.problems(f"{WEB}    env_file: bad.env\n")
    assert time.process_time() - began < 1
    assert problem.startswith(f"bad.env:{line}:")
    assert part in problem
    assert "(see compose.yaml:4:5)" in problem


def test_all_problems_of_a_file_are_reported_together_in_its_order(workdir: Any) -> None:
    problems = workdir.problems(
        "services:\n  web:\n    imagee: x\n    ports: ['foo']\n    restart: sometimes\n  db:\n    image: y\n"
        "    mem_limit: lots\n    depends_on: [wbe]\n    command: ${\n"
    )
    assert [problem.split(":")[1] for problem in problems] == ["3", "4", "5", "8", "9", "10"]


def test_a_cycle_of_extends_through_two_files_is_told_with_its_chain(workdir: Any) -> None:
    workdir.write("b.yaml", "services: {b: {extends: {file: compose.yaml, service: a}}}\n")
    (problem,) = workdir.problems("services: {a: {extends: {file: b.yaml, service: b}}}\n")
    assert "Circular reference: a in" in problem
    assert "extends b in" in problem


def test_a_cycle_of_includes_through_two_files_is_told_with_its_chain(workdir: Any) -> None:
    workdir.write("b.yaml", "include: [compose.yaml]\n")
    problems = workdir.problems(f"include: [b.yaml]\n{WEB}")
    assert any("include cycle detected: " in problem and "b.yaml include " in problem for problem in problems)


def test_a_file_outside_of_the_project_may_be_included(workdir: Any) -> None:
    workdir.write("../elsewhere.yaml", "services: {other: {image: y}}\n")
    assert "other" in workdir.load(f"include: [../elsewhere.yaml]\n{WEB}").services


def test_an_unset_variable_is_warned_of_once_with_its_line(workdir: Any) -> None:
    (warning,) = workdir.load(f"{WEB}    command: $NOPE\n    user: $NOPE\n").warnings
    assert warning.startswith('The "NOPE" variable is not set. Defaulting to a blank string.')
    assert "compose.yaml:4:5" in warning


def test_a_project_name_must_be_one_and_the_nearest_is_named(workdir: Any) -> None:
    from compose.errors import ComposeError

    with pytest.raises(ComposeError, match='invalid project name "My Proj".*did you mean "myproj"'):
        workdir.load(WEB, project_name="My Proj")


def test_what_was_taken_out_causes_no_further_problem(workdir: Any) -> None:
    (problem,) = workdir.problems("services:\n  web:\n    image: [x]\n  a:\n    image: y\n    depends_on: [web]\n")
    assert "services.web.image must be a string" in problem


def test_the_place_of_a_mistake_survives_extends_and_include(workdir: Any) -> None:
    workdir.write("base.yaml", "services:\n  base:\n    image: x\n    restart: sometimes\n")
    workdir.write("sub/inc.yaml", "services:\n  inc:\n    image: y\n    cap_add: [NOPE]\n")
    problems = workdir.problems(
        "include: [sub/inc.yaml]\nservices:\n  web:\n    extends: {file: base.yaml, service: base}\n"
    )
    assert any(problem.startswith("base.yaml:4:5: services.web.restart: ") for problem in problems)
    assert any(problem.startswith("sub/inc.yaml:4:15: services.inc.cap_add[0]: ") for problem in problems)


def test_a_conflict_with_an_included_resource_names_both_places(workdir: Any) -> None:
    workdir.write("inc.yaml", "services:\n  web: {image: y}\n")
    (problem,) = workdir.problems("include: [inc.yaml]\nservices:\n  web: {image: x}\n")
    assert problem.startswith("compose.yaml:3:3: services.web conflicts with imported resource")
    assert "inc.yaml:2:3" in problem


def test_a_problem_is_also_data(workdir: Any) -> None:
    from compose.errors import LoadError

    with pytest.raises(LoadError) as caught:
        workdir.load("services:\n  web:\n    imagee: x\n")
    (problem,) = caught.value.to_dict()["problems"]
    assert problem["path"] == "services.web"
    assert problem["location"] == {"file": f"{workdir.path}/compose.yaml", "line": 3, "column": 5}
    assert problem["suggestion"] == "image"
