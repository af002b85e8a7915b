"""Credentials where Docker's tools keep them: config.json and credential helpers."""

from __future__ import annotations

import base64
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import ComposeError
from compose.usecases.login import log_in, log_out, registry_name
from compose.usecases.registryauth import RegistryAccess, registry_of

if TYPE_CHECKING:
    from pathlib import Path

HELPER = """#!/bin/sh
cd "$(dirname "$0")"
echo "$1" >> asked
read -r line
case $1 in
  get) [ -e "secret-$line" ] || [ "$line" = "$(cat key 2>/dev/null)" ] || { echo 'credentials not found in native keychain'; exit 1; }
       cat secret ;;
  store) printf '%s' "$line" > stored ;;
  erase) printf '%s' "$line" > erased ;;
esac
"""


class FakeClient:
    def __init__(self, **answer: str) -> None:
        self.asked: list[Any] = []
        self.answer = {"Status": "Login Succeeded", **answer}

    def registry_login(self, registry: str, access: Any) -> dict[str, str]:
        self.asked.append((registry, access["auth"]))
        return self.answer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".docker").mkdir()
    return tmp_path


def access(home: Path, config: Any = None, **environ: str) -> RegistryAccess:
    if config is not None:
        (home / ".docker/config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return RegistryAccess({"HOME": str(home), "PATH": f"{home}:/usr/bin:/bin", **environ}, "/work")


def auth(user: str = "rose", password: str = "sword:fish") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        *(("busybox", "docker.io"), ("me/app", "docker.io"), ("docker.io/me/app", "docker.io")),
        *(("index.docker.io/x", "docker.io"), ("localhost/x", "localhost"), ("localhost:5/x", "localhost:5")),
        *(("ghcr.io/me/app@sha256:0", "ghcr.io"), ("Host/x", "Host"), ("host/x", "docker.io")),
    ],
)
def test_the_registry_of_a_reference(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("http://example.com:5000/v2/", "example.com:5000"),
        ("localhost", "localhost"),
    ],
)
def test_entries_are_found_under_all_names_that_were_ever_used(home: Path, key: str, host: str) -> None:
    found = access(home, {"auths": {"other.io": auth("x", "y"), key: auth()}})
    assert found.credentials(host) == {"username": "rose", "password": "sword:fish"}
    assert found.credentials("elsewhere.io") == {}


def test_only_what_the_references_need_goes_along(home: Path) -> None:
    found = access(home, {"auths": {"ghcr.io": auth(), "quay.io": auth("x", "y")}}).of(["ghcr.io/me/app", "busybox"])
    assert found["auth"] == {"ghcr.io": {"username": "rose", "password": "sword:fish"}}


def test_mirrors_bring_their_own_credentials(home: Path) -> None:
    (home / ".config/pycompose").mkdir(parents=True)
    (home / ".config/pycompose/config.toml").write_text('[registry."docker.io"]\nmirrors = ["https://m.example.com"]\n')
    found = access(home, {"auths": {"m.example.com": auth()}}).of(["busybox"])
    assert list(found["auth"]) == ["m.example.com"]
    assert found["registries"]["docker.io"]["mirrors"] == ["https://m.example.com"]


def test_tokens_are_told_from_passwords(home: Path) -> None:
    found = access(home, {"auths": {"a.io": {"identitytoken": "i"}, "b.io": {"registrytoken": "r"}, "c.io": {}}})
    assert found.credentials("a.io") == {"identity_token": "i"}
    assert found.credentials("b.io") == {"registry_token": "r"}
    assert found.credentials("c.io") == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json: "),
        ("[]", "not a JSON object"),
        ({"auths": {"a.io": {"auth": "###"}}}, "not base64"),
        ({"auths": {"a.io": {"auth": "eA=="}}}, "no user and password"),
        ({"credsStore": "missing"}, "docker-credential-missing: executable file not found"),
    ],
)
def test_a_broken_configuration_is_named(home: Path, config: Any, message: str) -> None:
    with pytest.raises(ComposeError, match=message):
        access(home, config).credentials("a.io")


def test_no_configuration_is_no_credentials(tmp_path: Path) -> None:
    assert access(tmp_path).of(["busybox"])["auth"] == {}


def helper(home: Path, name: str = "safe") -> None:
    program = home / f"docker-credential-{name}"
    program.write_text(HELPER)
    program.chmod(0o755)


def test_a_helper_is_asked_for_its_registry_and_the_store_for_all_others(home: Path) -> None:
    helper(home, "safe")
    (home / "key").write_text("https://index.docker.io/v1/")
    (home / "secret").write_text('{"ServerURL": "x", "Username": "rose", "Secret": "fish"}')
    found = access(home, {"credHelpers": {"a.io": "other"}, "credsStore": "safe", "auths": {"docker.io": {}}})
    assert found.credentials("docker.io") == {"username": "rose", "password": "fish"}
    assert found.credentials("docker.io")
    assert (home / "asked").read_text() == "get\n"
    assert found.credentials("b.io") == {}
    assert found.helper("a.io") == "other"
    (home / "secret").write_text('{"Username": "<token>", "Secret": "long"}')
    assert access(home).credentials("docker.io") == {"identity_token": "long"}
    (home / "secret").write_text("nonsense")
    with pytest.raises(ComposeError, match="cannot be read"):
        access(home).credentials("docker.io")


def test_the_environment_says_how_the_network_is_reached(home: Path) -> None:
    found = access(home, HTTPS_PROXY="http://p:1", http_proxy="http://q:2", no_proxy="x", SSL_CERT_FILE="ca.pem")
    assert found.of(["busybox"])["surroundings"] == {
        "http_proxy": "http://q:2",
        "https_proxy": "http://p:1",
        "no_proxy": "x",
        "cert_file": "/work/ca.pem",
        "cert_dir": "",
    }


@pytest.mark.parametrize(
    ("server", "name"),
    [("", "docker.io"), ("https://index.docker.io/v1/", "docker.io"), ("http://x:5000/v2/", "x:5000"), ("x", "x")],
)
def test_servers_are_called_by_their_registry(server: str, name: str) -> None:
    assert registry_name(server) == name


def test_login_writes_what_dockers_tools_read_and_keeps_the_rest(home: Path) -> None:
    made = access(home, {"auths": {"other.io": auth()}, "psFormat": "table"})
    done = log_in(FakeClient(), made, "docker.io", {"username": "rose", "password": "fish"})  # type: ignore[arg-type]
    assert done.status == "Login Succeeded"
    assert str(home / ".docker/config.json") in done.warning
    config = json.loads((home / ".docker/config.json").read_text())
    assert config["psFormat"] == "table"
    assert config["auths"]["https://index.docker.io/v1/"] == auth("rose", "fish")
    assert config["auths"]["other.io"] == auth()
    assert stat.S_IMODE(os.stat(home / ".docker/config.json").st_mode) == 0o600
    log_out(access(home), "docker.io")
    assert list(json.loads((home / ".docker/config.json").read_text())["auths"]) == ["other.io"]


def test_login_stores_a_token_instead_of_the_password(home: Path) -> None:
    log_in(FakeClient(IdentityToken="long"), access(home), "a.io", {"username": "rose", "password": "fish"})  # type: ignore[arg-type]
    text = (home / ".docker/config.json").read_text()
    assert json.loads(text)["auths"]["a.io"]["identitytoken"] == "long"
    assert base64.b64encode(b"rose:fish").decode() not in text


def test_login_and_logout_use_the_helper_in_charge(home: Path) -> None:
    helper(home)
    made = access(home, {"credsStore": "safe"})
    done = log_in(FakeClient(), made, "a.io", {"username": "rose", "password": "fish"})  # type: ignore[arg-type]
    assert done.warning == ""
    assert json.loads((home / "stored").read_text()) == {"ServerURL": "a.io", "Username": "rose", "Secret": "fish"}
    assert "fish" not in (home / ".docker/config.json").read_text()
    log_out(access(home), "a.io")
    assert (home / "erased").read_text() == "a.io"


def test_a_config_that_is_a_link_stays_one(home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / ".docker/config.json").symlink_to(home / "dotfiles/config.json")
    log_in(FakeClient(), access(home), "a.io", {"username": "rose", "password": "fish"})  # type: ignore[arg-type]
    assert (home / ".docker/config.json").is_symlink()
    assert (home / "dotfiles/config.json").exists()
