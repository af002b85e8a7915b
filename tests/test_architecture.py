"""The shape of the code, read from its own imports and sizes."""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("compose", "runtime", "schemas")

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"runtime.errors", "runtime.wire", "runtime.paths", "runtime.version"}),
    frozenset({"runtime.linux"}),
    frozenset({"runtime.cgroups"}),
    frozenset(
        {"runtime.oci", "runtime.network", "runtime.dns", "runtime.images", "runtime.volumes", "runtime.supervise"}
    ),
    frozenset({"runtime.shim", "runtime.build"}),
    frozenset({"runtime.worker", "runtime.engine"}),
    frozenset({"runtime.api"}),
    frozenset({"runtime.daemon", "runtime.ocicli", "runtime.doctor", "runtime.reset"}),
)
"""Ground floor first; whoever lives on one may import from those below, not from its neighbours."""

CLIENT_MAY_IMPORT = frozenset({"runtime.errors", "runtime.wire", "runtime.paths", "runtime.version", "runtime.client"})
COMPOSE_DOORS = frozenset({"runtime.client", "runtime.wire", "runtime.errors", "runtime.paths", "runtime.version"})
COMPOSE_LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"compose.errors"}),
    frozenset({"compose.model", "compose.graph"}),
    frozenset({"compose.loader", "compose.reconcile", "compose.watch"}),
    frozenset({"compose.usecases"}),
    frozenset({"compose.cli", "compose.testing", "compose.__main__"}),
)
PURE = ("compose.model", "compose.graph", "compose.reconcile")
IO_MODULES = frozenset(
    {"os", "io", "socket", "subprocess", "asyncio", "time", "pathlib", "shutil", "tempfile", "select"}
)
ASYNCIO_HOMES = ("runtime.engine", "runtime.api", "runtime.dns", "runtime.network", "runtime.daemon")
# The warm command line and the template of workers fork what they have imported; they are single-threaded, and never in
# a container.
FORK_HOMES = (
    *("runtime.shim", "runtime.oci", "runtime.linux", "runtime.doctor", "runtime.ocicli"),
    *("compose.cli.warm", "runtime.worker.template"),
)
STDLIB_ONLY = ("runtime.linux", "runtime.cgroups", "runtime.oci", "runtime.shim", "runtime.wire", "runtime.errors")


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str, *, typing_too: bool = False) -> set[str]:
    """Dotted names that a module imports anywhere in its code, without those for type checkers only."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not typing_too:
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(TREES[name])
    return {item for item in found if item.split(".")[0] not in PACKAGES or item in MODULES}


def home(name: str, homes: frozenset[str]) -> str | None:
    """Which of `homes` a module lives in."""
    return next((item for item in homes if name == item or name.startswith(f"{item}.")), None)


def floor(name: str) -> tuple[int, str] | None:
    """(number, room) of a module of the runtime."""
    for number, rooms in enumerate(FLOORS):
        room = home(name, rooms)
        if room:
            return number, room
    return None


def test_runtime_never_imports_compose_and_schemas_nothing_of_ours() -> None:
    for name in MODULES:
        ours = {item for item in imports(name, typing_too=True) if item.split(".")[0] in PACKAGES}
        if name.startswith("runtime"):
            assert not {item for item in ours if item.startswith("compose")}, name
        if name.startswith("schemas"):
            assert not {item for item in ours if not item.startswith("schemas")}, name


def test_runtime_floors_import_only_downwards() -> None:
    for name in MODULES:
        here = floor(name)
        if here is None or name == "runtime.oci.__main__":  # the door of `python -m runtime.oci`, only delegates
            continue
        for item in imports(name):
            there = floor(item)
            if there is None:
                assert not item.startswith("runtime.client"), f"{name} imports {item}"
                continue
            assert there[0] < here[0] or there[1] == here[1], (
                f"{name} (floor {here[0]}) imports {item} (floor {there[0]})"
            )


def test_the_client_stands_on_the_ground_floor() -> None:
    for name in MODULES:
        if name.startswith("runtime.client"):
            for item in imports(name):
                assert not item.startswith("runtime.") or home(item, CLIENT_MAY_IMPORT), f"{name} imports {item}"


def test_compose_knows_the_runtime_by_its_door_only() -> None:
    for name in MODULES:
        if name.startswith("compose"):
            for item in imports(name, typing_too=True):
                assert not item.startswith("runtime.") or home(item, COMPOSE_DOORS), f"{name} imports {item}"


def test_compose_layers_import_only_downwards() -> None:
    def layer(name: str) -> int | None:
        return next((number for number, rooms in enumerate(COMPOSE_LAYERS) if home(name, rooms)), None)

    for name in MODULES:
        here = layer(name)
        if here is None:
            continue
        for item in imports(name):
            there = layer(item)
            assert there is None or there <= here, f"{name} imports {item}"


@pytest.mark.parametrize("room", PURE)
def test_what_decides_does_no_input_or_output(room: str) -> None:
    for name in MODULES:
        if name == room or name.startswith(f"{room}."):
            assert not {item.split(".")[0] for item in imports(name)} & IO_MODULES, name


def test_ctypes_typer_asyncio_and_fork_have_their_homes() -> None:
    for name in MODULES:
        tops = {item.split(".")[0] for item in imports(name)}
        assert "ctypes" not in tops or name.startswith("runtime.linux"), f"{name} imports ctypes"
        assert "typer" not in tops or name.startswith("compose.cli"), f"{name} imports typer"
        assert "asyncio" not in tops or name.startswith(ASYNCIO_HOMES), f"{name} imports asyncio"
        forks = any(
            isinstance(node, ast.Attribute) and node.attr in {"fork", "forkpty"} for node in ast.walk(TREES[name])
        )
        assert not forks or name.startswith(FORK_HOMES), f"{name} forks"


@pytest.mark.parametrize("room", STDLIB_ONLY)
def test_what_enters_or_minds_containers_is_standard_library_only(room: str) -> None:
    for name in MODULES:
        if name == room or name.startswith(f"{room}."):
            foreign = {
                item
                for item in imports(name)
                if item.split(".")[0] not in sys.stdlib_module_names and item.split(".")[0] not in PACKAGES
            }
            assert not foreign, f"{name} imports {foreign}"


def test_package_inits_hold_a_docstring_and_nothing_heavy() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name != "schemas":
            allowed = (ast.Expr, ast.Assign, ast.AnnAssign)
            assert all(isinstance(node, allowed) for node in TREES[name].body), f"{name}/__init__.py does more"
            assert ast.get_docstring(TREES[name]), f"{name}/__init__.py has no docstring"


def test_every_module_says_what_it_is_for() -> None:
    assert not [name for name, tree in TREES.items() if not ast.get_docstring(tree)]


def test_modules_keep_their_size() -> None:
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    lines = sorted(size for name, size in sizes.items() if MODULES[name].name != "__init__.py")
    assert not {name: size for name, size in sizes.items() if size > 700}
    assert statistics.median(lines) <= 150
    assert lines[int(len(lines) * 0.9)] <= 400


def test_no_module_is_called_by_what_it_is_not() -> None:
    bad = {"utils", "util", "helpers", "helper", "misc", "common", "manager2"}
    assert not [name for name in MODULES if name.split(".")[-1] in bad]


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("compose.cli.warm.front", {"socket", "signal", "enum", "typing", "json", "re", "dataclasses", "typer"}),
        ("compose.__main__", {"yaml", "jsonschema", "rich", "asyncio", "urllib3", "pydantic"}),
        ("compose.cli.commands.ps", {"yaml", "jsonschema", "rich", "asyncio", "urllib3", "pydantic", "watchfiles"}),
        ("compose.cli.commands.up", {"jsonschema", "rich", "asyncio", "urllib3", "pydantic", "watchfiles"}),
        ("runtime.shim.zygote", {"asyncio", "typing_extensions", "subprocess", "logging", "dataclasses", "inspect"}),
        ("runtime.client.client", {"asyncio", "ctypes", "urllib3", "h11"}),
    ],
)
def test_what_is_imported_often_imports_little(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd="/"
    ).stdout
    assert not forbidden & set(output.split())


def test_command_modules_read_no_environment_when_imported() -> None:
    """A warm command line runs commands of many callers in one process."""
    for name, tree in TREES.items():
        if not name.startswith("compose.cli"):
            continue
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)) or _is_docstring(node):
                continue
            attributes = {item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute)}
            assert not attributes & {"environ", "environb", "isatty", "getcwd"}, f"{name} looks around at import"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
