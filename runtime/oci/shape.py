"""Check that a configuration read from a file has the form of the OCI specification, before anything uses it.

Our engine builds its specs in code; a file may hold anything and is answered with the name of what is wrong. As in Go's
JSON, null stands for absent.
"""

from __future__ import annotations

from typing import Any, Final

from runtime.errors import InvalidParameter

_TEXT: Final = "text"
_NUMBER: Final = "number"
_FLAG: Final = "true or false"
_LEAVES: Final[dict[str, type]] = {_TEXT: str, _NUMBER: int, _FLAG: bool}
_NUMBERS: Final = range(-(2**63), 2**64)
_SHOWN: Final = 40


def _keys(form: object, names: str) -> dict[str, object]:
    return dict.fromkeys(names.split(), form)


_IDS: Final[object] = [_keys(_NUMBER, "containerID hostID size")]
_HOOK: Final = {"path": _TEXT, "args": [_TEXT], "env": [_TEXT], "timeout": _NUMBER}
_RATE: Final[object] = [_keys(_NUMBER, "major minor rate weight leafWeight")]
_CAPABILITIES: Final = _keys([_TEXT], "bounding effective inheritable permitted ambient")
_SCHEDULER: Final = {
    "policy": _TEXT,
    "flags": [_TEXT],
    **_keys(_NUMBER, "nice priority runtime deadline period"),
}
PROCESS: Final = {
    **_keys(_TEXT, "cwd apparmorProfile selinuxLabel commandLine x-user"),
    **_keys([_TEXT], "args env x-groups"),
    **_keys(_FLAG, "terminal noNewPrivileges"),
    "oomScoreAdj": _NUMBER,
    "consoleSize": _keys(_NUMBER, "height width"),
    "user": {**_keys(_NUMBER, "uid gid umask"), "additionalGids": [_NUMBER]},
    "capabilities": _CAPABILITIES,
    "rlimits": [{"type": _TEXT, "soft": _NUMBER, "hard": _NUMBER}],
    "scheduler": _SCHEDULER,
    "ioPriority": {"class": _TEXT, "priority": _NUMBER},
}
"""The form of a `process` section."""
_RESOURCES: Final = {
    "devices": [{"allow": _FLAG, "type": _TEXT, "major": _NUMBER, "minor": _NUMBER, "access": _TEXT}],
    "memory": {
        **_keys(_NUMBER, "limit reservation swap kernel kernelTCP swappiness"),
        **_keys(_FLAG, "disableOOMKiller useHierarchy checkBeforeUpdate"),
    },
    "cpu": {
        **_keys(_NUMBER, "shares quota burst period realtimeRuntime realtimePeriod idle"),
        **_keys(_TEXT, "cpus mems"),
    },
    "pids": {"limit": _NUMBER},
    "blockIO": {
        **_keys(_NUMBER, "weight leafWeight"),
        **_keys(_RATE, "weightDevice throttleReadBpsDevice throttleWriteBpsDevice"),
        **_keys(_RATE, "throttleReadIOPSDevice throttleWriteIOPSDevice"),
    },
    "hugepageLimits": [{"pageSize": _TEXT, "limit": _NUMBER}],
    "network": {"classID": _NUMBER, "priorities": [{"name": _TEXT, "priority": _NUMBER}]},
    "rdma": {"*": _keys(_NUMBER, "hcaHandles hcaObjects")},
    "unified": {"*": _TEXT},
}
_SECCOMP: Final = {
    **_keys(_TEXT, "defaultAction listenerPath listenerMetadata"),
    **_keys([_TEXT], "architectures flags"),
    "defaultErrnoRet": _NUMBER,
    "syscalls": [
        {
            "names": [_TEXT],
            "action": _TEXT,
            "errnoRet": _NUMBER,
            "args": [{"op": _TEXT, **_keys(_NUMBER, "index value valueTwo")}],
        }
    ],
}
_LINUX: Final = {
    **_keys(_TEXT, "cgroupsPath rootfsPropagation mountLabel"),
    **_keys([_TEXT], "maskedPaths readonlyPaths"),
    **_keys(_IDS, "uidMappings gidMappings"),
    "namespaces": [{"type": _TEXT, "path": _TEXT}],
    "devices": [{"path": _TEXT, "type": _TEXT, **_keys(_NUMBER, "major minor fileMode uid gid")}],
    "sysctl": {"*": _TEXT},
    "timeOffsets": {"*": _keys(_NUMBER, "secs nanosecs")},
    "personality": {"domain": _TEXT, "flags": [_TEXT]},
    "resources": _RESOURCES,
    "seccomp": _SECCOMP,
}
SPEC: Final = {
    **_keys(_TEXT, "ociVersion hostname domainname x-seccomp"),
    "root": {"path": _TEXT, "readonly": _FLAG},
    "process": PROCESS,
    "mounts": [
        {
            **_keys(_TEXT, "destination type source x-subpath"),
            "options": [_TEXT],
            **_keys(_IDS, "uidMappings gidMappings"),
        }
    ],
    "hooks": {"*": [_HOOK]},
    "annotations": {"*": _TEXT},
    "linux": _LINUX,
    "x-rootfs": {**_keys(_TEXT, "type upperdir workdir"), **_keys([_TEXT], "lowerdir options")},
    "x-init": _FLAG,
    "x-seccomp-flags": _NUMBER,
}
"""The form of a config.json, with our own keys (x-...); what is not named here is not used."""


def check(value: Any, form: object, where: str) -> Any:
    """`value` without its nulls if it has the `form`; `where` it is goes into the InvalidParameter."""
    if isinstance(form, dict):
        return _check_object(value, form, where)
    if isinstance(form, list):
        if not isinstance(value, list):
            raise InvalidParameter(f"{where}: {_show(value)} is not a list")
        return [check(item, form[0], f"{where}[{place}]") for place, item in enumerate(value)]
    if form is not None:
        _check_leaf(value, str(form), where)
    return value


def _check_object(value: Any, form: dict[str, object], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidParameter(f"{where}: {_show(value)} is not an object")
    return {
        key: check(item, form.get(key, form.get("*")), f"{where}.{key}")
        for key, item in value.items()
        if item is not None
    }


def _check_leaf(value: Any, form: str, where: str) -> None:
    # a bool is an int to Python, not to anybody else
    if not isinstance(value, _LEAVES[form]) or (form == _NUMBER and isinstance(value, bool)):
        raise InvalidParameter(f"{where}: {_show(value)} is not {'' if form == _FLAG else 'a '}{form}")
    if form == _NUMBER and value not in _NUMBERS:
        raise InvalidParameter(f"{where}: {_show(value)} is out of range")
    if form == _TEXT and any("\ud800" <= letter <= "\udfff" for letter in str(value)):
        raise InvalidParameter(f"{where}: {_show(value)} is not Unicode")


def _show(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
