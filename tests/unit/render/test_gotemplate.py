"""Go templates: what Docker's documentation and people's scripts write behind --format."""

from __future__ import annotations

from typing import Any

import pytest

from compose.cli.render import gotemplate
from compose.errors import UsageError

IMAGE: dict[str, Any] = {
    "Id": "sha256:abc",
    "RepoTags": ["a:1", "b:2"],
    "Empty": [],
    "Size": 12,
    "Config": {"Labels": {"com.example.role": "db", "x": "y"}, "Cmd": None, "Tty": False},
}


def text(source: str) -> str:
    return gotemplate.render(gotemplate.parse(source), IMAGE, {"Label": lambda name: f"<{name}>"})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{.Id}} {{.Size}}", "sha256:abc 12"),
        ("{{.RepoTags}}", "[a:1 b:2]"),
        ("{{.Config.Labels}}", "map[com.example.role:db x:y]"),
        ("{{.Config.Cmd}} {{.Config.Tty}}", "<nil> false"),
        ("{{json .RepoTags}}", '["a:1","b:2"]'),
        ('{{index .RepoTags 0}} {{index .Config.Labels "com.example.role"}}', "a:1 db"),
        ('{{index .Config.Labels "nope"}}|', "|"),
        ("{{len .RepoTags}}", "2"),
        ("{{slice .Id 0 3}} {{slice .RepoTags 1}}", "sha [b:2]"),
        ("{{range .RepoTags}}{{.}},{{end}}", "a:1,b:2,"),
        ("{{range $i, $tag := .RepoTags}}{{if $i}}, {{end}}{{$tag}}{{end}}", "a:1, b:2"),
        ("{{range $key, $value := .Config.Labels}}{{$key}}={{$value}};{{end}}", "com.example.role=db;x=y;"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .RepoTags}}{{$.Size}}{{end}}", "1212"),
        ("{{if .Empty}}a{{else if .Size}}b{{else}}c{{end}}", "b"),
        ("{{with .Config}}{{.Tty}}{{end}}", "false"),
        ('{{join .RepoTags "+" | upper}}', "A:1+B:2"),
        ('{{(index .RepoTags 1) | printf "%q"}}', '"b:2"'),
        ("{{(.Config).Tty}}", "false"),
        ('{{printf "%-6s|%03d" .Size 7}}', "12    |007"),
        ('{{println .Id}}{{"\\n"}}', "sha256:abc\n\n"),
        ('{{if and (eq .Size 12) (not .Empty)}}yes{{end}} {{or "" "x"}}', "yes x"),
        ("a  {{- .Size -}}  b {{/* nothing */}}c", "a12b c"),
        ("{{$x := .Size}}{{$x}}", "12"),
        ('{{.Label "role"}}', "<role>"),
        ('{{"}}"}}', "}}"),
        ("a\\tb", "a\\tb"),
    ],
)
def test_a_template_prints_what_go_prints(source: str, expected: str) -> None:
    assert text(source) == expected


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{", "unclosed action"),
        ("{{if .Id}}x", "unexpected EOF"),
        ("x{{end}}", "unexpected {{end}}"),
        ("{{.Nope}}", "can't evaluate field Nope"),
        ("{{.Config.Nope.More}}", "can't evaluate field Nope"),
        ("{{nope .Id}}", 'function "nope" not defined'),
        ("{{$y}}", 'undefined variable "$y"'),
        ("{{index .RepoTags 7}}", "index out of range"),
        ("{{.Id | }}", "missing value for command"),
        ("{{(.Id}}", "unclosed left paren"),
        ("{{upper}}", "wrong number"),
        ('{{template "x"}}', "template is not supported"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error(source: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("{", r"\{").replace("$", r"\$").replace("(", r"\(")):
        text(source)


def test_a_list_format_has_its_escapes_replaced_and_a_header_of_column_names() -> None:
    template = gotemplate.compile_format(r"table {{.Id}}\t{{if .Size}}{{.Size}}{{end}}")
    assert gotemplate.render(template, IMAGE, {}) == "sha256:abc\t12"
    assert gotemplate.header(template, {"Id": "IMAGE ID"}) == "IMAGE ID\tSIZE"
