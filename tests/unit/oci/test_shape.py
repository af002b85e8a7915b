"""What is said about a config.json that is not one; and that nothing but an EngineError comes of any file."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.cgroups import resources_v1, resources_v2
from runtime.errors import EngineError, InvalidParameter, NotFound
from runtime.oci import lifecycle, shape
from runtime.oci.plan import Plan
from tests.kit.ocibundle import make_spec

if TYPE_CHECKING:
    from pathlib import Path


def full() -> dict[str, Any]:
    """A spec with something in every section."""
    spec = make_spec("true")
    spec["process"] |= {
        "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3]},
        "rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 2}],
        "consoleSize": {"height": 1, "width": 2},
        "scheduler": {"policy": "SCHED_BATCH", "nice": 1},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 1},
        "oomScoreAdj": 5,
    }
    spec["hooks"] = {"prestart": [{"path": "/x", "args": ["x"], "env": ["A=b"], "timeout": 1}]}
    spec["annotations"] = {"a": "b"}
    mapping = [{"containerID": 0, "hostID": 1000, "size": 10}]
    spec["mounts"][0] |= {"uidMappings": mapping, "gidMappings": mapping}
    spec["linux"] |= {
        "uidMappings": mapping,
        "gidMappings": mapping,
        "cgroupsPath": "/x",
        "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600}],
        "sysctl": {"net.core.somaxconn": "1"},
        "resources": {
            "memory": {"limit": 10_000_000, "swap": 20_000_000},
            "cpu": {"shares": 10, "quota": 1000, "period": 1000, "cpus": "0"},
            "pids": {"limit": 5},
            "devices": [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
            "blockIO": {"weight": 10},
        },
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {
                    "names": ["mkdir"],
                    "action": "SCMP_ACT_ERRNO",
                    "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}],
                }
            ],
        },
    }
    return spec


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), [], "config.json: [] is not an object"),
        (("process",), "sh", "config.json.process: 'sh' is not an object"),
        (("process", "args"), "sh", "config.json.process.args: 'sh' is not a list"),
        (("process", "args", 0), 1, "config.json.process.args[0]: 1 is not a text"),
        (("process", "args", 0), None, "config.json.process.args[0]: None is not a text"),
        (("process", "user", "uid"), "1", "config.json.process.user.uid: '1' is not a number"),
        (("process", "user", "uid"), True, "config.json.process.user.uid: True is not a number"),
        (("process", "user", "uid"), 1.5, "config.json.process.user.uid: 1.5 is not a number"),
        (("process", "user", "uid"), 2**64, f"config.json.process.user.uid: {2**64} is out of range"),
        (("process", "terminal"), "yes", "config.json.process.terminal: 'yes' is not true or false"),
        (("linux", "sysctl", "net.core.somaxconn"), 1, "config.json.linux.sysctl.net.core.somaxconn: 1 is not a text"),
        (("hostname",), "\ud800", r"config.json.hostname: '\ud800' is not Unicode"),
        (("mounts", 0, "options"), {"ro": 1}, "config.json.mounts[0].options: {'ro': 1} is not a list"),
        (("hostname",), ["x" * 100], f"config.json.hostname: ['{'x' * 38}... is not a text"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(path: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        shape.check(replaced(full(), path, value), shape.SPEC, "config.json")
    assert caught.value.message == message


def test_null_is_absent_and_unknown_keys_are_kept() -> None:
    spec = full() | {"hostname": None, "windows": {"anything": [None, 1]}}
    checked = shape.check(spec, shape.SPEC, "config.json")
    assert "hostname" not in checked
    assert checked["windows"] == spec["windows"]
    assert shape.check(full(), shape.SPEC, "config.json") == full()


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    made = copy.copy(value)
    made[path[0]] = replaced(made[path[0]], path[1:], new) if path[1:] else new
    return made


def places(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [here]
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(item, (*here, key))
    return found


ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, "", "\0", "/", "/..", "SCMP_ACT_TRACE"]),
    st.text(max_size=5),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.none()))),
    st.dictionaries(st.text(max_size=5), st.integers()),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(places(full())), ODD)
def test_any_file_gives_a_plan_or_a_named_error(path: tuple[str | int, ...], value: Any) -> None:
    message = "fine"
    try:
        spec = shape.check(replaced(full(), path, value), shape.SPEC, "config.json")
        Plan(spec, bundle="/nowhere", container="box", directories=[])
        for writes in (resources_v1.writes, resources_v2.writes):
            writes((spec.get("linux") or {}).get("resources") or {})
    except EngineError as error:
        message = error.message
    assert message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "Expecting property name"),
        (b"[1]", "is not an object"),
        (b"\xff\xfe\xfd", "codec can't decode"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", ""),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "config.json").write_bytes(text)
    if not message:
        assert lifecycle.read_spec(str(tmp_path)) == {}
        return
    with pytest.raises(InvalidParameter, match=message):
        lifecycle.read_spec(str(tmp_path))


def test_a_bundle_without_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="has no config.json"):
        lifecycle.read_spec(str(tmp_path))
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InvalidParameter, match="is a directory"):
        lifecycle.read_spec(str(tmp_path))


def test_our_own_specs_have_the_form() -> None:
    assert json.loads(json.dumps(full())) == shape.check(full(), shape.SPEC, "config.json")
