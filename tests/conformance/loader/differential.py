"""Runs one case through both programs and says where they differ."""

from __future__ import annotations

import json
from typing import Any

from compose.errors import ComposeError
from compose.loader.options import LoadOptions
from compose.loader.pipeline import load, model_tree
from compose.loader.tree import plain
from compose.loader.yamlio import read
from compose.model.confighash import service_hash
from compose.model.marshal import escape_dollars, project_tree
from tests.kit.peer_compose import Case

FLAGS = {"-f": "files", "--env-file": "env_files", "--profile": "profiles"}
SINGLE = {"-p": "project_name", "--project-directory": "project_directory"}


def options(case: Case, **more: Any) -> LoadOptions:
    """The options our command line would make of the case's arguments."""
    values: dict[str, Any] = {}
    words = iter(case.args)
    for word in words:
        if word in FLAGS:
            values[FLAGS[word]] = (*values.get(FLAGS[word], ()), next(words))
        elif word in SINGLE:
            values[SINGLE[word]] = next(words)
    environ = {**case.env, "PWD": case.directory}
    return LoadOptions(cwd=case.directory, environ=environ, stdin=lambda: case.stdin, **values, **more)


def ours(case: Case, **more: Any) -> dict[str, Any]:
    """What `config` and `config --hash '*'` come to with our loader."""
    try:
        project = load(options(case, **more))
        unresolved = load(options(case, resolve_environment=False, **more))
    except ComposeError as error:
        return {"error": str(error)}
    shown = project if "--all-resources" in case.args else project.without_unused_resources()
    return {
        "json": escape_dollars(project_tree(shown, json=True)),
        "yaml": escape_dollars(project_tree(shown, json=False)),
        "hash": {name: service_hash(service) for name, service in unresolved.services.items()},
        "warnings": project.warnings,
    }


def peers(case: Case) -> dict[str, Any]:
    """The same of the reference."""
    text = case.ask("config")
    if text["code"]:
        return {"error": text["err"]}
    data = case.ask("config", "--format", "json")
    hashes = case.ask("config", "--hash", "*")
    return {
        "json": json.loads(data["out"]) if data["code"] == 0 else {},
        "yaml": plain(read(text["out"], "peer")[0].root),
        "hash": dict(line.split() for line in hashes["out"].splitlines()),
        "warnings": text["err"],
    }


def differences(case: Case, **more: Any) -> list[str]:
    """Where the programs differ; empty if nowhere."""
    mine, theirs = ours(case, **more), peers(case)
    if ("error" in mine) != ("error" in theirs):
        return [f"accepted by one only: ours {mine.get('error', 'accepts')}, theirs {theirs.get('error', 'accepts')}"]
    if "error" in mine:
        return []
    models = theirs["yaml"].get("models")
    if models is not None:  # the reference's JSON loses them
        theirs["json"]["models"] = {name: _bare(model) for name, model in models.items()}
    found: list[str] = []
    for key in ("json", "yaml", "hash"):
        _compare(mine[key], theirs[key], key, found)
    return found


SWITCHES = {
    "--no-interpolate": "interpolate",
    "--no-normalize": "normalize",
    "--no-path-resolution": "resolve_paths",
    "--no-consistency": "consistency",
}


def flag_differences(case: Case, flags: list[str]) -> list[str]:
    """Where `config` with these flags differs."""
    switches = {SWITCHES[flag]: False for flag in flags}
    text = case.ask("config", *flags)
    try:
        if "--no-interpolate" in flags:
            mine = model_tree(options(case, **switches))
        else:
            project = load(options(case, **switches))
            shown = project if "--all-resources" in case.args else project.without_unused_resources()
            mine = escape_dollars(project_tree(shown, json=False))
    except ComposeError as error:
        return [] if text["code"] else [f"only ours refuses: {error}"]
    if text["code"]:
        return [f"only theirs refuses: {text['err']}"]
    found: list[str] = []
    _compare(mine, plain(read(text["out"], "peer")[0].root), " ".join(flags), found)
    return found


def _bare(model: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if not key.startswith("x-")}


def _compare(mine: Any, theirs: Any, path: str, found: list[str]) -> None:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted({*mine, *theirs}):
            if key not in mine:
                found.append(f"{path}.{key}: only theirs: {theirs[key]!r}")
            elif key not in theirs:
                found.append(f"{path}.{key}: only ours: {mine[key]!r}")
            else:
                _compare(mine[key], theirs[key], f"{path}.{key}", found)
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            _compare(one, other, f"{path}[{index}]", found)
    elif mine != theirs or isinstance(mine, bool) != isinstance(theirs, bool):
        found.append(f"{path}: ours {mine!r}, theirs {theirs!r}")
