"""What is published of a project's files: the author's text, with the names of other files replaced."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from compose.errors import ComposeError
from compose.usecases import sensitive
from compose.usecases.publishedfiles import LOCAL_INCLUDE, Collected, collect

if TYPE_CHECKING:
    from pathlib import Path


def name_of(path: Path, suffix: str) -> str:
    return f"{hashlib.sha256(str(path).encode()).hexdigest()}{suffix}"


def collected(folder: Path, text: str) -> Collected:
    (folder / "compose.yaml").write_text(text)
    return collect([str(folder / "compose.yaml")], str(folder), {"KIND": "prod"}.get)


def test_env_files_are_renamed_in_every_way_of_writing_them(tmp_path: Path) -> None:
    for name in ("a.env", "b.env", "prod.env"):
        (tmp_path / name).write_text(f"N={name}\n")
    found = collected(
        tmp_path,
        """\
# überschrift 🙂
services:
  one: {env_file: a.env, image: x}  # stays
  two:
    env_file:
      - "b.env"
      - {path: '${KIND}.env', required: true}
      - path: missing.env
        required: false
""",
    )
    a, b, c, d = (name_of(tmp_path / name, ".env") for name in ("a.env", "b.env", "prod.env", "missing.env"))
    assert found.parts[0].content.decode() == (
        "# überschrift 🙂\n"
        f"services:\n  one: {{env_file: {a}, image: x}}  # stays\n"
        f"  two:\n    env_file:\n      - {b}\n      - {{path: {c}, required: true}}\n"
        f"      - path: {d}\n        required: false\n"
    )
    assert {part.name: part.content for part in found.env_parts()} == {
        a: b"N=a.env\n",
        b: b"N=b.env\n",
        c: b"N=prod.env\n",
    }


def test_files_that_extend_each_other_follow_and_those_far_away_do_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/base.yaml").write_text("services: {base: {extends: {file: more.yaml, service: more}}}\n")
    (tmp_path / "sub/more.yaml").write_text("services: {more: {image: x, env_file: m.env}}\n")
    found = collected(
        tmp_path,
        "services:\n  a: {extends: {file: sub/base.yaml, service: base}}\n"
        "  b: {extends: {file: 'oci://registry.test/x', service: y}}\n  c: {extends: a}\n",
    )
    base, more = (name_of(tmp_path / "sub" / name, ".yaml") for name in ("base.yaml", "more.yaml"))
    assert [(part.name, part.is_base) for part in found.parts] == [
        ("compose.yaml", False),
        (base, True),
        (more, True),
    ]
    assert f"file: {base}" in found.parts[0].content.decode()
    assert "oci://registry.test/x" in found.parts[0].content.decode()
    assert f"file: {more}" in found.parts[1].content.decode()
    assert list(found.env_files) == [str(tmp_path / "sub/m.env")]


def test_local_includes_have_no_place_in_an_artifact(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=LOCAL_INCLUDE):
        collected(tmp_path, "include: [other.yaml]\n")
    assert collected(tmp_path, "include: [{path: ['oci://registry.test/x']}]\nservices: {}\n").parts


@pytest.mark.parametrize(
    "line",
    [
        "AWS: AKIAABCDEFGHIJKLMNOP",
        "url: postgres://app:hunter2@db/app",
        "-----BEGIN RSA PRIVATE KEY-----",
        "MYSQL_ROOT_PASSWORD: hunter2",
        "API_KEY=abcdef123",
    ],
)
def test_what_looks_like_a_secret_is_found_and_not_shown(line: str) -> None:
    [finding] = sensitive.scan(f"services: {{}}\n{line}\n", "compose.yaml")
    assert str(finding).endswith(": compose.yaml:2")
    assert "hunter2" not in str(finding)


@pytest.mark.parametrize(
    "line",
    [
        "MYSQL_PASSWORD: ${PASSWORD}",
        "PASSWORD_FILE: /run/secrets/db",
        "secrets: [db]",
        "token: true",
        "image: registry.test/token:1",
        "http://db:5432/app",
    ],
)
def test_what_only_mentions_secrets_is_not_found(line: str) -> None:
    assert not sensitive.scan(line, "compose.yaml")
