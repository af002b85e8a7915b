"""Where values come from, and which variables a project mentions."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ComposeError, SourceMark
from compose.loader.explain import VariableOrigin, explain
from compose.loader.options import LoadOptions
from compose.loader.template import Variable
from compose.loader.variables import variables

FILE = (
    "services:\n  web:\n    image: app:${TAG:-1}\n    env_file: app.env\n    environment:\n"
    "      LOG: ${LEVEL}\n      SHELL_VAR:\n    ports: ['80:80']\n    user: base\n"
)


@pytest.fixture
def options(workdir: Any) -> LoadOptions:
    workdir.write("compose.yaml", FILE)
    workdir.write("compose.override.yaml", "services:\n  web:\n    user: over\n    environment:\n      - MORE=${TAG}\n")
    workdir.write("app.env", "# c\nFROM_FILE=1\n")
    workdir.write(".env", "LEVEL=debug\n")
    return LoadOptions(cwd=workdir.path, environ={"SHELL_VAR": "s", "TAG": "2"})


def test_a_template_names_its_variables_and_their_origins(options: LoadOptions) -> None:
    found = explain(options, "services.web.environment.LOG")
    assert found.value == "debug"
    assert found.mark == SourceMark(f"{options.cwd}/compose.yaml", 6, 7)
    assert found.written == "${LEVEL}"
    assert found.variables == (VariableOrigin("LEVEL", "debug", f"{options.cwd}/.env"),)
    assert explain(options, "services.web.image").variables == (VariableOrigin("TAG", "2", "environment"),)
    assert explain(options, "services.web.environment.MORE").written == "MORE=${TAG}"


def test_a_replaced_value_names_what_it_replaced(options: LoadOptions) -> None:
    found = explain(options, "services.web.user")
    assert found.value == "over"
    assert found.mark == SourceMark(f"{options.cwd}/compose.override.yaml", 3, 5)
    assert found.replaced == (SourceMark(f"{options.cwd}/compose.yaml", 9, 5),)


def test_a_variable_of_an_env_file_and_one_of_the_shell(options: LoadOptions) -> None:
    assert explain(options, "services.web.environment.FROM_FILE").mark == SourceMark(f"{options.cwd}/app.env", 2, 1)
    passed = explain(options, "services.web.environment.SHELL_VAR")
    assert passed.variables == (VariableOrigin("SHELL_VAR", "s", "environment"),)


def test_items_of_lists_have_places_too(options: LoadOptions) -> None:
    found = explain(options, "services.web.ports[0].target")
    assert (found.value, found.mark) == (80, SourceMark(f"{options.cwd}/compose.yaml", 8, 13))


def test_a_path_that_is_not_there_is_refused_with_the_nearest(options: LoadOptions) -> None:
    with pytest.raises(ComposeError, match=r'services.web.usr: the project has no such value; did you mean "user"'):
        explain(options, "services.web.usr")


def test_variables_are_listed_with_their_defaults(options: LoadOptions) -> None:
    assert variables(options) == {"TAG": Variable("TAG", default="1"), "LEVEL": Variable("LEVEL")}
