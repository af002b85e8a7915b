"""Builds: which are planned and why, in which order, and what the builder is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import ConsistencyError
from compose.model.build import BuildConfig
from compose.model.limits import UlimitsConfig
from compose.reconcile.bake import bake_file
from compose.reconcile.observed import ObservedState
from compose.reconcile.plan import PlanBuilder
from compose.reconcile.plan_build import (
    BuildOptions,
    Inputs,
    build_arguments,
    build_causes,
    plan_builds,
    without_effect,
)
from tests.kit.states import project, service

if TYPE_CHECKING:
    from compose.model.project import Project
    from compose.model.service import ServiceConfig

LABELS = {"com.docker.compose.project": "app", "com.docker.compose.version": "2.40.3"}


def built(name: str, *, needs: tuple[str, ...] = (), **said: Any) -> ServiceConfig:
    """A service with a build of its own; `said` is its build section, `image` and `pull_policy` the service's."""
    own = {key: said.pop(key) for key in ("image", "pull_policy", "platform") if key in said}
    said.setdefault("context", f"/w/{name}")
    said.setdefault("dockerfile", "Dockerfile")
    return service(name, needs=needs, build=BuildConfig(**said), **{"image": "", **own})


def here(**images: dict[str, Any]) -> ObservedState:
    return ObservedState(project="app", images={name.replace("_", "-"): each for name, each in images.items()})


def text(app: Project, observed: ObservedState | None = None, *, forced: str = "", **inputs: Inputs) -> str:
    causes = build_causes(app, app.services.values(), observed or here(), forced)
    builder = PlanBuilder()
    plan_builds(builder, app, causes, BuildOptions(), inputs)
    return str(builder.build(""))


def arguments(one: ServiceConfig, options: BuildOptions | None = None, **said: Any) -> dict[str, Any]:
    return build_arguments(project(one, **said), one, options or BuildOptions())


def test_what_is_missing_is_built_and_what_is_here_is_not() -> None:
    app = project(built("a"), built("b"), service("c"))
    assert text(app, here(app_a={"Id": "sha256:1"})) == "[] -> #1 build:b, BuildImage, missing\n"


def test_a_command_or_a_policy_builds_whatever_is_here() -> None:
    there = here(app_a={"Id": "sha256:1"}, app_b={"Id": "sha256:2"})
    app = project(built("a", pull_policy="build"), built("b"))
    assert text(app, there) == "[] -> #1 build:a, BuildImage, pull_policy: build\n"
    assert text(app, there, forced="--build").count("--build") == 2


def test_an_image_for_another_platform_counts_as_missing() -> None:
    app = project(built("a", platform="linux/arm64"))
    there = here(app_a={"Id": "sha256:1", "Os": "linux", "Architecture": "amd64"})
    assert text(app, there) == "[] -> #1 build:a, BuildImage, the one here is for linux/amd64, not linux/arm64\n"


def test_a_service_context_is_built_first_and_named_as_an_image() -> None:
    app = project(built("a", additional_contexts={"base": "service:z"}), built("z"))
    assert text(app) == "[] -> #1 build:z, BuildImage, missing\n[1] -> #2 build:a, BuildImage, missing\n"
    assert build_arguments(app, app.services["a"], BuildOptions())["AdditionalContexts"] == {
        "base": "docker-image://app-z"
    }


def test_building_one_service_also_builds_what_it_is_made_from() -> None:
    app = project(built("a", additional_contexts={"base": "service:z"}), built("z"), built("other"))
    assert build_causes(app, [app.services["a"]], here(), "build") == {"a": "build", "z": "a context of a"}


def test_a_dockerfile_that_starts_from_another_services_image_waits_for_it() -> None:
    app = project(built("a"), built("z", image="own/base:1"))
    assert text(app, a=Inputs(bases=("docker.io/own/base:1",))) == (
        "[] -> #1 build:z, BuildImage, missing\n[1] -> #2 build:a, BuildImage, missing\n"
    )


def test_depends_on_orders_builds_only_where_the_bases_are_not_known() -> None:
    app = project(built("a", needs=("z",)), built("z"))
    assert "[] -> #2 build:z" in text(app)
    assert text(app, a=Inputs(bases=None)).startswith("[] -> #1 build:z")


def test_what_was_only_inferred_never_makes_a_circle() -> None:
    app = project(built("a"), built("z"))
    both = {"a": Inputs(bases=("app-z",)), "z": Inputs(bases=("app-a",))}
    assert len(text(app, **both).splitlines()) == 2


def test_services_that_take_each_other_as_contexts_are_refused() -> None:
    app = project(
        built("a", additional_contexts={"x": "service:z"}), built("z", additional_contexts={"x": "service:a"})
    )
    with pytest.raises(ConsistencyError, match="dependency cycle detected: a -> z -> a"):
        text(app)


def test_services_with_one_definition_are_one_build_with_all_names() -> None:
    same = {"context": "/w", "args": {"A": "1"}}
    app = project(built("a", **same), built("b", **same), built("c", **same, target="other"))
    builder = PlanBuilder()
    added = plan_builds(builder, app, dict.fromkeys(app.services, "build"), BuildOptions(), {})
    first, second = builder.build("").operations
    assert (first.subject, first.resource) == ("build:a,b", "build a,b")
    assert first.args["Tags"] == ["app-a", "app-b"]
    assert added == {"a": 1, "b": 1, "c": 2}
    assert second.args["Target"] == "other"


def test_images_that_other_builds_make_are_not_pulled() -> None:
    app = project(built("a", pull=True, additional_contexts={"base": "service:z"}), built("z"))
    builder = PlanBuilder()
    plan_builds(builder, app, dict.fromkeys(app.services, "build"), BuildOptions(), {})
    assert builder.build("").operations[1].args["Present"] == ["app-z"]


def test_a_definition_becomes_arguments_and_what_is_not_said_is_left_out() -> None:
    assert arguments(built("a")) == {
        "Context": "/w/a",
        "Dockerfile": "Dockerfile",
        "Tags": ["app-a"],
        "Labels": {**LABELS, "com.docker.compose.service": "a"},
    }
    full = built(
        "a",
        image="img:1",
        dockerfile="",
        dockerfile_inline="FROM scratch\n",
        args={"A": "1", "B": None},
        labels={"x": "y"},
        tags=("img:2", "img:1"),
        target="t",
        network="host",
        no_cache=True,
        no_cache_filter=("t",),
        pull=True,
        extra_hosts={"db": ("1.2.3.4", "::1")},
        shm_size=64,
        ulimits={"nofile": UlimitsConfig(soft=1, hard=2), "nproc": UlimitsConfig(single=5)},
        entitlements=("security.insecure",),
        cache_from=("type=local,src=cache", "type=registry,ref=r/c"),
        cache_to=("type=local,dest=cache,mode=max",),
        platforms=("linux/arm64",),
    )
    assert arguments(full) == {
        "Context": "/w/a",
        "DockerfileInline": "FROM scratch\n",
        "Tags": ["img:1", "img:2"],
        "BuildArgs": {"A": "1"},
        "Labels": {"x": "y", **LABELS, "com.docker.compose.service": "a"},
        "Target": "t",
        "NetworkMode": "host",
        "NoCache": True,
        "NoCacheFilter": ["t"],
        "Pull": True,
        "ExtraHosts": ["db:1.2.3.4", "db:::1"],
        "ShmSize": 64,
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}, {"Name": "nproc", "Soft": 5, "Hard": 5}],
        "Privileged": True,
        "CacheFrom": ["type=local,src=/w/cache", "type=registry,ref=r/c"],
        "CacheTo": ["type=local,dest=/w/cache,mode=max"],
        "Platform": "linux/arm64",
    }


def test_the_command_line_beats_the_definition_and_proxies_give_way() -> None:
    one = built("a", args={"A": "file", "http_proxy": "file"})
    options = BuildOptions(args={"A": "flag"}, no_cache=True, pull=True)
    found = build_arguments(project(one), one, options, Inputs(proxies={"http_proxy": "user", "no_proxy": "user"}))
    assert found["BuildArgs"] == {"A": "flag", "http_proxy": "file", "no_proxy": "user"}
    assert found["NoCache"]
    assert found["Pull"]


@pytest.mark.parametrize(
    ("own", "offered", "default", "expected"),
    [
        ("", (), "", ""),
        ("linux/arm64", ("linux/arm64", "linux/amd64"), "", "linux/arm64"),
        ("", ("linux/arm64",), "", "linux/arm64"),
        ("", ("linux/arm64", "linux/amd64"), "", ""),
        ("", ("linux/arm64", "linux/amd64"), "linux/amd64", "linux/amd64"),
    ],
)
def test_one_platform_is_built(own: str, offered: tuple[str, ...], default: str, expected: str) -> None:
    one = built("a", platform=own, platforms=offered)
    environment = {"DOCKER_DEFAULT_PLATFORM": default} if default else {}
    assert arguments(one, environment=environment).get("Platform", "") == expected


def test_a_default_platform_that_is_not_offered_is_refused() -> None:
    one = built("a", platforms=("linux/arm64",))
    with pytest.raises(ConsistencyError, match="does not support value set by DOCKER_DEFAULT_PLATFORM: linux/amd64"):
        arguments(one, environment={"DOCKER_DEFAULT_PLATFORM": "linux/amd64"})


def test_what_has_no_effect_is_named() -> None:
    app = project(
        built("a", provenance="mode=max", sbom="true", isolation="hyperv", entitlements=("network.host", "device")),
        built("b", provenance="false", platforms=("linux/amd64", "linux/arm64")),
    )
    assert list(without_effect(app, app.services)) == [
        "services.a.build.isolation is not supported and has no effect",
        "services.a.build.provenance is not supported and has no effect",
        "services.a.build.sbom is not supported and has no effect",
        "services.a.build.entitlements: device is not supported and has no effect",
    ]


def test_a_bake_file_has_the_keys_of_composes() -> None:
    app = project(
        built("a", image="r.example/a:1", additional_contexts={"base": "service:z"}, args={"A": "1"}, no_cache=True),
        built("z"),
    )
    found = bake_file(app, [app.services["a"]], BuildOptions(), push=True)
    assert found["group"] == {"default": {"targets": ["a", "z"]}}
    assert found["target"]["a"] == {
        "context": "/w/a",
        "contexts": {"base": "target:z"},
        "dockerfile": "/w/a/Dockerfile",
        "args": {"A": "1"},
        "labels": {**LABELS, "com.docker.compose.service": "a"},
        "tags": ["r.example/a:1"],
        "no-cache": True,
        "output": ["type=registry"],
    }
    assert found["target"]["z"]["output"] == ["type=docker"]
