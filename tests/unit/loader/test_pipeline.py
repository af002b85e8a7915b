"""What the loader promises besides agreeing with the reference."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compose.errors import ComposeError, SourceMark
from compose.loader.pipeline import DOCUMENT_PHASES, PROJECT_PHASES

if TYPE_CHECKING:
    import pytest

WEB = "services:\n  web:\n    image: x\n"


def test_every_value_can_be_asked_where_it_was_written(workdir: Any) -> None:
    workdir.write("compose.override.yaml", "services:\n  web:\n    ports:\n      - '81:81'\n    command: over\n")
    project = workdir.load(f"{WEB}    ports: ['80:80']\n    command: base\n    environment:\n      A: b\n")
    base, over = f"{workdir.path}/compose.yaml", f"{workdir.path}/compose.override.yaml"
    assert project.mark("services.web.ports[0]") == SourceMark(base, 4, 13)
    assert project.mark("services.web.ports[1].target") == SourceMark(over, 4, 9)
    assert project.mark("services.web.command") == SourceMark(over, 5, 5)
    assert project.mark("services.web.environment.A") == SourceMark(base, 7, 7)
    assert project.mark("services.web.user") == SourceMark(base, 2, 3)
    assert project.mark("services.web") == SourceMark(base, 2, 3)


def test_a_service_with_a_dot_in_its_name_can_be_asked_too(workdir: Any) -> None:
    project = workdir.load("services:\n  a.b:\n    image: x\n    ports: [80]\n")
    assert project.mark("services.a.b.ports[0]") == SourceMark(f"{workdir.path}/compose.yaml", 4, 13)


def test_the_environment_is_only_what_the_caller_passes(workdir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "leaked")
    project = workdir.load(f"{WEB}    environment: [LEAK]\n    command: $OWN\n", {"OWN": "mine"})
    assert project.services["web"].environment == {"LEAK": None}
    assert project.services["web"].command == ("mine",)


def test_an_unset_variable_is_warned_of_once_with_its_place(workdir: Any) -> None:
    project = workdir.load(f"{WEB}    command: $TAG $TAG\n    user: u$TAG\n")
    (warning,) = project.warnings
    assert warning.startswith('The "TAG" variable is not set. Defaulting to a blank string.')
    assert "compose.yaml:4:5" in warning


def test_disabled_services_are_kept_apart(workdir: Any) -> None:
    project = workdir.load(f"{WEB}  dev:\n    image: y\n    profiles: [dev]\n")
    assert list(project.services) == ["web"]
    assert list(project.disabled_services) == ["dev"]
    assert list(project.with_profiles(["dev"]).services) == ["dev", "web"]


def test_a_port_of_the_host_may_be_shared_by_addresses_protocols_and_profiles(workdir: Any) -> None:
    workdir.load(
        "services:\n  a: {image: x, ports: ['127.0.0.1:80:80', '53:53/udp']}\n"
        "  b: {image: x, ports: ['127.0.0.2:80:80', '53:53/tcp']}\n"
        "  c: {image: x, profiles: [p], ports: ['127.0.0.1:80:80']}\n"
    )


def test_an_image_with_an_unset_tag_is_left_to_the_pull(workdir: Any) -> None:
    assert workdir.load("services: {a: {image: 'x:$TAG'}}\n").services["a"].image == "x:"


def test_secrets_from_variables_reach_the_model_and_no_output(workdir: Any) -> None:
    from compose.model.marshal import project_tree

    project = workdir.load(f"{WEB}    secrets: [s]\nsecrets: {{s: {{environment: TOKEN}}}}\n", {"TOKEN": "hush"})
    assert project.secrets["s"].content == "hush"
    assert "hush" not in str(project_tree(project, json=True))


def test_the_phases_are_visible_and_in_order() -> None:
    names = [phase.__name__.strip("_") for phase in (*DOCUMENT_PHASES, *PROJECT_PHASES)]
    order = [
        "interpolate",
        "apply_extends",
        "resets",
        "apply_include",
        "merge",
        "schema",
        "canonical",
        "defaults",
        "paths",
    ]
    assert [name for name in names if name in order] == order


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(
        ["a", "$", "${", "${A:-b}", "80:80", "x:y:z", "service:a", "1h", "5m", "!reset", "../x", "~", "\x85"]
    ),
    st.text(string.printable, max_size=12),
)
KEYS = st.sampled_from(
    "services networks volumes secrets configs include name a b image build ports volumes environment depends_on deploy"
    " extends healthcheck networks command labels env_file x-a ulimits devices driver ipam config subnet external"
    " resources limits cpus target source type".split()
)
TREES = st.recursive(
    ATOMS, lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=5), max_leaves=25
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(tree=st.dictionaries(KEYS, TREES, max_size=6))
def test_no_tree_makes_anything_but_a_project_or_an_error_of_ours(workdir: Any, tree: Any) -> None:
    import yaml

    try:
        workdir.load(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    except ComposeError:
        pass


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    noise=st.lists(
        st.sampled_from([*"{}[]:-?&*!|>'\"%@`#,\n \t$", "a", "services", "<<", "---", "&x", "*x", "!reset", "\0"]),
        max_size=40,
    )
)
def test_no_text_makes_anything_but_a_project_or_an_error_of_ours(workdir: Any, noise: list[str]) -> None:
    try:
        workdir.load("".join(noise) or "#")
    except ComposeError:
        pass
