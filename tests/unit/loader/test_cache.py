"""A project comes from the cache exactly as long as nothing it was made of has changed."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import LoadError
from compose.loader import cache
from compose.loader.cachestore import MAX_ENTRIES, Store, default_directory
from compose.loader.options import LoadOptions

if TYPE_CHECKING:
    from pathlib import Path

    from compose.model.project import Project

TEXT = """
services:
  web:
    image: "x:${TAG:-1}"
    env_file: [{path: web.env, required: false}]
    label_file: web.labels
    environment: {PASSED: , SET: "${SET-}"}
    build: {context: .}
    develop: {watch: [{path: ./src, action: rebuild}]}
    secrets: [token]
    scale: 2
    deploy: {labels: {a: b}}
    x-note: {list: [1, 2.5, null, yes]}
  base: {image: y, profiles: [p]}
  more: {extends: {file: sub/base.yaml, service: base}}
include: [inc/compose.yaml]
secrets:
  token: {environment: TOKEN}
"""


class Box:
    """A project directory, an environment and a cache."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.cache = str(path / "cache")
        self.environ = {"HOME": "/home/x", "TOKEN": "secret", "PASSED": "on", "UNUSED": "1"}
        self.options: dict[str, Any] = {}
        self.read = 0
        for name, content in {
            "app/compose.yaml": TEXT,
            "app/web.env": "A=${TAG:-none}\n",
            "app/web.labels": "l=1\n",
            "app/sub/base.yaml": "services: {base: {image: z, volumes: ['./d:/d']}}\n",
            "app/inc/compose.yaml": "services: {inc: {image: 'i:${INC:-1}', volumes: ['./d:/d']}}\n",
        }.items():
            self.write(name, content)
        real = cache._read

        def read(options: LoadOptions) -> Any:
            self.read += 1
            return real(options)

        monkeypatch.setattr(cache, "_read", read)
        monkeypatch.setattr(cache, "_memory", {})

    def write(self, name: str, content: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(content)

    def load(self, *, memory: bool = False, **more: Any) -> Project:
        if not memory:
            cache._memory.clear()
        options = LoadOptions(
            cwd=f"{self.path}/app", environ=self.environ, cache=self.cache, **{**self.options, **more}
        )
        return cache.load(options).project


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


@pytest.mark.parametrize("memory", [False, True])
def test_what_comes_back_is_what_was_loaded(box: Box, memory: bool) -> None:
    first = box.load()
    second = box.load(memory=memory)
    assert box.read == 1
    assert second.replace(marks={}) == first.replace(marks={})
    assert list(second.services["web"].environment.items()) == list(first.services["web"].environment.items())
    assert second.secrets["token"].content == "secret"
    assert len(first.marks) > 50
    paths = [path for path in first.marks if "#" not in path]
    assert [second.mark(path) for path in paths] == [first.mark(path) for path in paths]


CHANGES = {
    "a compose file": lambda box: box.write("app/compose.yaml", TEXT + "\n"),
    "an included file": lambda box: box.write("app/inc/compose.yaml", "services: {inc: {image: j}}"),
    "a file of base services": lambda box: box.write("app/sub/base.yaml", "services: {base: {image: zz}}"),
    "an env file": lambda box: box.write("app/web.env", "A=2"),
    "a label file": lambda box: box.write("app/web.labels", "l=2"),
    "an env file that goes": lambda box: os.unlink(box.path / "app/web.env"),
    "a .env that comes": lambda box: box.write("app/.env", "TAG=3\n"),
    "a .env of an included project": lambda box: box.write("app/inc/.env", "INC=3\n"),
    "an override file that comes": lambda box: box.write("app/compose.override.yaml", "services: {web: {tty: true}}"),
    "another candidate that comes": lambda box: box.write("app/docker-compose.yml", "services: {}"),
    "a variable that is set": lambda box: box.environ.update(TAG="7"),
    "a variable of an included project": lambda box: box.environ.update(INC="7"),
    "a variable that is taken away": lambda box: box.environ.pop("PASSED"),
    "a secret": lambda box: box.environ.update(TOKEN="other"),
    "the home directory": lambda box: box.environ.update(HOME="/home/y"),
    "a symbolic link that comes": lambda box: (
        os.makedirs(box.path / "real"),
        os.symlink(box.path / "real", box.path / "app/src"),
    ),
    "profiles": lambda box: box.options.update(profiles=("p",)),
    "a project name": lambda box: box.options.update(project_name="other"),
    "a phase": lambda box: box.options.update(normalize=False),
    "strict validation": lambda box: box.options.update(conflicts=False),
}


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_is_seen(box: Box, change: str, memory: bool) -> None:
    box.load()
    CHANGES[change](box)
    box.load(memory=memory)
    assert box.read == 2


def test_what_the_project_was_not_made_of_may_change_and_is_seen_all_the_same(box: Box) -> None:
    box.load()
    box.environ.update(UNUSED="2", NEW="3")
    box.write("app/other.txt", "x")
    project = box.load()
    assert box.read == 1
    assert project.environment["UNUSED"] == "2"
    assert project.environment["NEW"] == "3"
    assert project.environment["COMPOSE_PROJECT_NAME"] == "app"


def test_only_successes_are_kept(box: Box) -> None:
    box.write("app/compose.yaml", "services: {web: {}}")
    for _ in range(2):
        with pytest.raises(LoadError):
            box.load()
    assert box.read == 2
    assert not os.path.exists(box.cache)


def test_what_reads_standard_input_is_not_kept(box: Box) -> None:
    for _ in range(2):
        box.load(files=("-",), stdin=lambda: "services: {web: {image: x}}")
    assert box.read == 2


def test_warnings_are_told_again(box: Box) -> None:
    box.write("app/compose.yaml", "services: {web: {image: '${NOPE}x'}}")
    assert box.load().warnings == box.load().warnings != ()
    assert box.read == 1


def test_another_version_of_the_program_does_not_trust_the_entry(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.load()
    monkeypatch.setattr(cache, "VERSION", "99")
    box.load()
    assert box.read == 2


def test_directory_and_files_are_the_users_alone_and_hold_no_secret_that_was_only_looked_up(box: Box) -> None:
    box.load()
    assert stat.S_IMODE(os.stat(box.cache).st_mode) == 0o700
    (name,) = os.listdir(box.cache)
    path = os.path.join(box.cache, name)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as file:
        text = file.read()
    json.loads(text)
    assert "secret" not in json.loads(text)["tree"]["secrets"]["token"].values()
    assert '"secret"' not in text


@pytest.mark.parametrize("damage", ["mode", "link", "entry link", "entry text", "entry list"])
def test_a_place_or_an_entry_that_cannot_be_trusted_is_not_used(box: Box, damage: str) -> None:
    box.load()
    (name,) = os.listdir(box.cache)
    entry = os.path.join(box.cache, name)
    if damage == "mode":
        os.chmod(box.cache, 0o755)
    elif damage == "link":
        os.rename(box.cache, f"{box.cache}2")
        os.symlink(f"{box.cache}2", box.cache)
    elif damage == "entry link":
        os.rename(entry, f"{box.path}/moved")
        os.symlink(f"{box.path}/moved", entry)
    else:
        with open(entry, "w", encoding="utf-8") as file:
            file.write("{" if damage == "entry text" else "[]")
    box.load()
    assert box.read == 2


def test_the_store_stays_small(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    for number in range(MAX_ENTRIES + 5):
        store.put(f"{number:08x}", {"n": number})
        os.utime(tmp_path / "store" / f"{number:08x}", (number + 1, number + 1))
    store.put("last", {})
    assert len(os.listdir(tmp_path / "store")) == MAX_ENTRIES
    assert store.get("00000000") is None
    assert store.get(f"{MAX_ENTRIES + 4:08x}") == {"n": MAX_ENTRIES + 4}


def test_an_entry_that_is_used_stays_longest(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.put("a", {})
    os.utime(tmp_path / "store" / "a", (1, 1))
    store.get("a")
    assert os.stat(tmp_path / "store" / "a").st_mtime > 1


def test_the_cache_lies_where_xdg_says_and_only_where_the_user_owns_the_place(tmp_path: Path) -> None:
    uid = os.geteuid()
    assert default_directory({"HOME": str(tmp_path)}, uid) == f"{tmp_path}/.cache/pycompose/projects"
    assert default_directory({"XDG_CACHE_HOME": f"{tmp_path}/c/d"}, uid) == f"{tmp_path}/c/d/pycompose/projects"
    assert default_directory({"HOME": str(tmp_path)}, uid + 1) == ""
    assert default_directory({"HOME": f"{tmp_path}/none"}, uid) == ""
    assert default_directory({}, uid) == ""
    assert default_directory({"HOME": str(tmp_path), "PYCOMPOSE_CACHE": "0"}, uid) == ""


def test_a_text_is_made_once_and_its_warnings_told_again(box: Box) -> None:
    made: list[int] = []

    def make() -> tuple[str, list[str], Any]:
        made.append(1)
        return "text", ["w"], cache.load(options).trail

    options = LoadOptions(cwd=f"{box.path}/app", environ=box.environ, cache=box.cache)
    assert cache.text(options, ["model"], make) == ("text", ["w"], True)
    assert cache.text(options, ["model"], make) == ("text", ["w"], False)
    assert cache.text(options, ["images"], make).fresh
    box.write("app/web.env", "A=5")
    assert cache.text(options, ["model"], make).fresh
    assert len(made) == 3
