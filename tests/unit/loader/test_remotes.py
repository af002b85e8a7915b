"""Remote compose files as the loader sees them: an address, a directory, and nothing beyond it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import ComposeError, LoadError, SourceNotFound
from compose.loader import cache
from compose.loader.options import LoadOptions
from compose.loader.pipeline import load
from compose.loader.remotes import Remote, is_remote

if TYPE_CHECKING:
    from pathlib import Path

    from compose.model.project import Project

ADDRESS = "oci://registry.test/team/app:1"


class Far:
    """Remote files in a directory of the test's, loaded as a caller would have them fetched."""

    def __init__(self, path: Path) -> None:
        self.directory = path / "far"
        self.here = path / "here"
        self.directory.mkdir()
        self.here.mkdir()
        self.identity = "sha256:1"
        self.asked: list[str] = []

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fetch(self, address: str) -> Remote:
        self.asked.append(address)
        if address != ADDRESS:
            raise ComposeError(f"{address}: not found")
        return Remote(address, str(self.directory), str(self.directory / "compose.yaml"), self.identity)

    def options(self, *files: str, **more: Any) -> LoadOptions:
        return LoadOptions(cwd=str(self.here), files=files, remote=self.fetch, **more)

    def load(self, *files: str, **more: Any) -> Project:
        return load(self.options(*files, **more))

    def problems(self, *files: str) -> list[str]:
        with pytest.raises(LoadError) as caught:
            self.load(*files)
        return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def far(tmp_path: Path) -> Far:
    made = Far(tmp_path)
    made.write("compose.yaml", "services: {web: {image: x, volumes: ['./html:/srv']}}\n")
    return made


@pytest.mark.parametrize(
    "text",
    [
        "oci://docker.io/team/app",
        "https://example.com/a.git",
        "https://example.com/a.git#main:sub",
        "http://example.com/a.git?ref=main",
        "git@example.com:team/app.git",
        "ssh://git@example.com/app",
        "git://example.com/app",
        "github.com/team/app",
    ],
)
def test_addresses_of_registries_and_repositories_are_remote(text: str) -> None:
    assert is_remote(text)


@pytest.mark.parametrize(
    "text", ["compose.yaml", "./a.git", "/srv/a.git", "https://example.com/c.yaml", "C:/a", "-", "a@b"]
)
def test_paths_and_plain_downloads_are_not(text: str) -> None:
    assert not is_remote(text)


def test_relative_paths_begin_where_the_remote_files_are_and_the_name_where_the_caller_is(far: Far) -> None:
    project = far.load(ADDRESS)
    assert project.services["web"].volumes[0].source == f"{far.directory}/html"
    assert (project.name, project.working_dir) == ("here", str(far.directory))
    assert project.compose_files == (f"{far.directory}/compose.yaml",)


def test_an_include_and_an_extends_may_be_remote(far: Far) -> None:
    (far.here / "compose.yaml").write_text(
        f"include: ['{ADDRESS}']\nservices: {{mine: {{extends: {{file: '{ADDRESS}', service: web}}}}}}\n"
    )
    project = far.load()
    assert {each.volumes[0].source for each in project.services.values()} == {f"{far.directory}/html"}
    assert sorted(project.services) == ["mine", "web"]
    assert far.asked == [ADDRESS]


def test_a_variable_may_name_a_remote_file_although_it_holds_colons(far: Far) -> None:
    assert far.load(environ={"COMPOSE_FILE": ADDRESS}).services
    (far.here / "own.yaml").write_text("services: {web: {command: hi}}\n")
    both = {"COMPOSE_FILE": f"{ADDRESS},own.yaml", "COMPOSE_PATH_SEPARATOR": ","}
    assert far.load(environ=both).services["web"].command == ("hi",)


def test_places_in_messages_name_the_address(far: Far) -> None:
    far.write("compose.yaml", "services:\n  web: {image: x, bogus: 1}\n")
    assert far.problems(ADDRESS)[0].startswith(f"{ADDRESS}/compose.yaml:2:19: ")


def test_what_cannot_be_fetched_is_told_where_it_is_named(far: Far) -> None:
    (far.here / "compose.yaml").write_text("services: {}\ninclude:\n  - oci://registry.test/other\n")
    [problem] = far.problems()
    assert problem == f"{far.here}/compose.yaml:3:5: include[0]: oci://registry.test/other: not found"
    with pytest.raises(SourceNotFound, match="cannot be read here"):
        load(LoadOptions(cwd=str(far.here), files=(ADDRESS,)))


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: x, volumes: ['../../etc:/e']}}",
        "services: {web: {image: x, env_file: ../x.env}}",
        "services: {web: {build: ../..}}",
        "services: {web: {extends: {file: ../x.yaml, service: a}}}",
        "services: {web: {extends: {file: /etc/x.yaml, service: a}}}",
        "services: {web: {extends: {file: deep/base.yaml, service: a}}}",
        "include: [../x.yaml]",
        "include: [{path: other.yaml, env_file: ../../x.env}]",
        "services: {web: {image: x, configs: [c]}}\nconfigs: {c: {file: ../secret}}",
        "services: {web: {image: x, volumes: ['./link:/e']}}",
    ],
)
def test_a_remote_file_names_nothing_outside_of_what_came_with_it(far: Far, text: str) -> None:
    far.write("deep/base.yaml", "services: {a: {image: x, volumes: ['../../y:/y']}}")
    far.write("other.yaml", "services: {b: {image: x}}")
    os.symlink("/etc", far.directory / "link")
    far.write("compose.yaml", text)
    problems = [problem for problem in far.problems(ADDRESS) if "may not lead out" in problem]
    assert problems
    assert problems[0].startswith(f"{ADDRESS}/")


def test_a_link_to_a_file_outside_is_not_read(far: Far) -> None:
    (far.here / "own.env").write_text("SECRET=1\n")
    os.symlink(far.here / "own.env", far.directory / "linked.env")
    far.write("compose.yaml", "services: {web: {image: x, env_file: linked.env}}")
    assert any("may not lead out" in problem for problem in far.problems(ADDRESS))


def test_local_files_beside_a_remote_one_go_where_they_like(far: Far) -> None:
    (far.here / "own.yaml").write_text("services: {web: {volumes: ['../here:/h']}}\n")
    project = far.load(ADDRESS, "own.yaml")
    assert project.services["web"].volumes[1].source == str(far.here)


def test_a_kept_project_holds_as_long_as_the_address_stands_for_the_same(far: Far, tmp_path: Path) -> None:
    options = far.options(ADDRESS, cache=str(tmp_path / "cache"))
    cache.load(options)
    far.asked.clear()
    kept = cache.load(options)
    assert far.asked == [ADDRESS]
    assert kept.trail is not None
    assert kept.trail["remotes"] == {ADDRESS: "sha256:1"}
    far.identity = "sha256:2"
    assert not cache.holds(kept.trail, options)
