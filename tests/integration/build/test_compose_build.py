"""From a compose file's `build:` to images and containers: build, up, run, create, down, and what failures leave."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.stack import Result, Stack

pytestmark = pytest.mark.root

LABEL = "com.docker.compose"


def image(stack: Stack, reference: str) -> dict[str, Any]:
    return dict(stack.api(f"/v1/images/{reference}"))


def steps(result: Result) -> dict[str, str]:
    """Step -> CACHED, DONE or ERROR, of a plain log."""
    names = dict(re.findall(r"^#(\d+) (\[.*)$", result.out, re.MULTILINE))
    ends = dict(re.findall(r"^#(\d+) (CACHED|DONE|ERROR|CANCELED)", result.out, re.MULTILINE))
    return {name: ends.get(number, "") for number, name in names.items()}


def built(result: Result) -> list[str]:
    return re.findall(r"^ (\S+)  Built$", result.err, re.MULTILINE)


@pytest.fixture
def project(module_stack: Stack) -> Stack:
    """Three services: two of one definition, and one on the image of another."""
    stack = module_stack
    stack.run("down", "-t", "0", "--rmi", "all", "--remove-orphans", ok=False)
    stack.write("web/Dockerfile", "FROM localhost/host\nARG WHO\nRUN echo $WHO > /who\nCMD sleep 1000\n")
    stack.write("web/file", "1\n")
    stack.write("top/Dockerfile", "FROM base\nRUN cp /who /copy\n")
    stack.compose("""
    services:
      web: {build: {context: web, args: {WHO: me}, labels: {tier: front}}, init: true}
      twin: {build: {context: web, args: {WHO: me}, labels: {tier: front}}, init: true}
      top:
        build: {context: top, additional_contexts: {base: "service:web"}, tags: ["own/top:also"]}
        command: sleep 1000
        init: true
    """)
    return stack


def test_services_are_built_in_order_once_for_each_definition(project: Stack) -> None:
    done = project.run("build")
    assert built(done) == ["top", "twin", "web"]
    assert len(re.findall(r"RUN echo \$WHO", done.out)) == 1
    assert "[top 1/1] RUN cp /who /copy" in done.out
    web = image(project, f"{project.project}-web")
    assert web["Id"] == image(project, f"{project.project}-twin")["Id"]
    assert image(project, f"{project.project}-top")["Id"] == image(project, "own/top:also")["Id"]
    assert web["Labels"]["tier"] == "front"
    assert web["Labels"][f"{LABEL}.project"] == project.project
    assert web["Labels"][f"{LABEL}.version"] == "2.40.3"
    again = project.run("build")
    assert {end for name, end in steps(again).items() if "RUN" in name} == {"CACHED"}


def test_one_service_is_built_with_its_contexts_only(project: Stack) -> None:
    assert built(project.run("build", "top")) == ["top", "web"]
    assert built(project.run("build", "twin")) == ["twin"]


def test_flags_of_build_reach_the_builder(project: Stack) -> None:
    done = project.run("build", "--build-arg", "WHO=flag", "--no-cache", "--builder", "x", "-m", "64m", "web")
    assert steps(done)["[web 2/2] RUN echo $WHO > /who"] == "DONE"
    assert "--memory is not supported" in done.err
    out = project.run("run", "--rm", "web", "cat", "/who").out
    assert out == "flag\n"
    quiet = project.run("build", "--quiet", "web")
    assert quiet.out == quiet.err == ""
    assert "--provenance is ignored" in project.run("build", "-q", "--provenance", "true", "web").err


def test_up_builds_what_is_missing_and_rebuilds_only_when_told(project: Stack) -> None:
    first = project.run("up", "-d", "web")
    assert built(first) == ["web"]
    before = project.inspect("web-1")
    project.write("web/Dockerfile", "FROM localhost/host\nRUN echo other > /who\nCMD sleep 1000\n")
    stale = project.run("up", "-d", "web")
    assert (stale.out, built(stale)) == ("", [])
    assert project.inspect("web-1")["Id"] == before["Id"]
    fresh = project.run("up", "-d", "--build", "web")
    assert "Recreate  (image changed)" in fresh.err
    after = project.inspect("web-1")
    assert after["Id"] != before["Id"]
    assert after["Config"]["Labels"][f"{LABEL}.image"] == after["Image"] != before["Image"]
    assert project.exec("web", "cat", "/who").out == "other\n"
    unchanged = project.run("up", "-d", "--build", "--quiet-build", "web")
    assert (unchanged.out, built(unchanged)) == ("", ["web"])
    assert "Running" in unchanged.err
    assert project.inspect("web-1")["Id"] == after["Id"]


def test_a_policy_of_build_builds_at_each_up(project: Stack) -> None:
    project.compose("services: {web: {build: web, pull_policy: build, init: true}}")
    project.run("up", "-d")
    again = project.run("up", "-d")
    assert built(again) == ["web"]
    assert "Running" in again.err


def test_without_building_a_missing_image_is_an_error_that_says_what_to_do(project: Stack) -> None:
    done = project.run("up", "-d", "--no-build", "web", ok=False)
    assert done.code == 1
    assert f'image "{project.project}-web" not found: it can be built, with `pycompose build web`' in done.err
    assert project.run("up", "--build", "--no-build", ok=False).err == "--build and --no-build are incompatible\n"


def test_create_and_run_build_too_and_run_keeps_standard_output_clean(project: Stack) -> None:
    assert built(project.run("create", "--build", "web")) == ["web"]
    assert project.states() == {"web-1": "created"}
    project.write("web/Dockerfile", "FROM localhost/host\nRUN echo run > /who\n")
    done = project.run("run", "--rm", "--build", "web", "cat", "/who")
    assert done.out == "run\n"
    assert "[web 2/2] RUN echo run > /who" in done.err


def test_a_failing_build_shows_output_line_and_code_and_leaves_everything_as_it_was(project: Stack) -> None:
    project.run("up", "-d", "web")
    before = project.inspect("web-1")
    project.write("web/Dockerfile", "FROM localhost/host\n\nRUN echo almost; exit 3\n")
    done = project.run("up", "-d", "--build", "web", ok=False)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        'target web: failed to solve: process "/bin/sh -c echo almost; exit 3" did not complete successfully:'
        " exit code: 3"
    )
    assert re.search(
        r"^ > \[web 2/2\] RUN echo almost; exit 3:\n[\d.]+ almost\n------\nDockerfile:3$", done.err, re.MULTILINE
    )
    assert re.search(r"3 \| >>> RUN echo almost; exit 3", done.err)
    assert project.inspect("web-1")["Id"] == before["Id"]
    assert project.states() == {"web-1": "running"}
    assert image(project, f"{project.project}-web")["Id"] == before["Image"]
    quiet = project.run("build", "-q", "web", ok=False)
    assert (quiet.code, quiet.out) == (1, "")
    assert "almost" in quiet.err


def test_down_removes_the_images_that_were_built(project: Stack) -> None:
    project.run("up", "-d")
    project.run("down", "-t", "0", "--rmi", "local")
    names = project.run("image", "ls", "--format", "{{.Repository}}").lines
    assert not [name for name in names if project.project in name or name.startswith("own/")]


def test_secrets_and_arguments_come_from_the_clients_environment(project: Stack) -> None:
    project.write("key", "from a file\n")
    project.write(
        "web/Dockerfile",
        "FROM localhost/host\n"
        "ARG FROM_ENV\n"
        "RUN --mount=type=secret,id=key --mount=type=secret,id=other"
        " cat /run/secrets/key /run/secrets/other > /secrets; echo $FROM_ENV >> /secrets\n",
    )
    project.compose("""
    services:
      web:
        build: {context: web, args: [FROM_ENV], secrets: [key, {source: token, target: other}]}
    secrets:
      key: {file: ./key}
      token: {environment: TOKEN}
    """)
    project.environment |= {"TOKEN": "from the environment\n", "FROM_ENV": "argument"}
    out = project.run("run", "--rm", "web", "cat", "/secrets").out
    assert out == "from a file\nfrom the environment\nargument\n"
    project.compose("""
    services: {web: {build: {context: web, secrets: [gone]}}}
    secrets: {gone: {file: ./gone}}
    """)
    done = project.run("build", ok=False)
    assert re.search(r"could not read secret gone: open .*/gone: no such file or directory", done.err)


def test_inline_dockerfiles_and_other_contexts_are_built(project: Stack) -> None:
    project.write("data/file", "from another directory\n")
    project.compose("""
    services:
      web:
        build:
          context: web
          additional_contexts: {data: ./data}
          dockerfile_inline: |
            FROM localhost/host AS first
            RUN echo first > /stage
            FROM first AS second
            COPY --from=data file /file
            RUN exit 1
          target: first
    """)
    assert project.run("run", "--rm", "web", "cat", "/stage").out == "first\n"


def test_a_check_tells_what_is_found_and_builds_nothing(project: Stack) -> None:
    project.write("web/Dockerfile", "FROM localhost/host as base\nRUN exit 1\nCMD true\n")
    done = project.run("build", "--check", "web", ok=False)
    assert done.code == 1
    assert "WARNING: FromAsCasing" in done.out
    assert "web: Dockerfile:1" in done.out
    project.write("web/Dockerfile", "FROM localhost/host\nRUN exit 1\n")
    assert project.run("build", "--check", "web").out == "Check complete, no warnings found.\n"


def test_an_image_with_a_name_is_pulled_if_it_can_be_and_else_built(project: Stack, tmp_path: Path) -> None:
    registry = Registry(tmp_path).start()
    try:
        project.write("web/Dockerfile", "FROM scratch\nCOPY file /file\n")
        project.compose(f"services: {{web: {{image: '{registry.host}/web:1', build: web, command: /file}}}}")
        first = project.run("create")
        assert " web Pulling \n web Warning " in first.err
        assert built(first) == ["web"]
        made = image(project, f"{registry.host}/web:1")["Id"]
        assert " web Pushed" in project.run("build", "--push").err
        project.run("down", "-t", "0", "--rmi", "local")
        pulled = project.run("create")
        assert " web Pulled" in pulled.err
        assert (pulled.out, built(pulled)) == ("", [])
        assert image(project, f"{registry.host}/web:1")["Id"] == made
    finally:
        registry.stop()


def test_dry_run_shows_the_plan(project: Stack) -> None:
    out = project.run("--dry-run", "up").out
    assert out.startswith("[] -> #1 build:twin,web, BuildImage, missing\n[1] -> #2 build:top, BuildImage, missing\n")
    assert "CreateContainer" in out
