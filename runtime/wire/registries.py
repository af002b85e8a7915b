"""What `config.toml` says about registries: plain HTTP, own authorities, mirrors. One file of the system, one of the user.

    [registry."registry.example.com:5000"]
    insecure = true                          # plain HTTP, or TLS whose certificate nobody vouches for
    ca = "/etc/ssl/company.pem"              # further authorities to trust for this registry
    mirrors = ["https://mirror.example.com"] # asked first when pulling
    auth_hosts = ["sso.example.net"]         # foreign hosts that may see its credentials to hand out tokens

The client reads both, because only it knows the user; the engine's own calls read the system's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYSTEM_FILE = "/etc/pycompose/config.toml"


class RegistrySettings(TypedDict, total=False):
    insecure: bool
    ca: str
    mirrors: list[str]
    auth_hosts: list[str]


Registries = dict[str, RegistrySettings]
"""By the registry's name in references: `docker.io`, `localhost:5000`."""


class Credentials(TypedDict, total=False):
    """What a registry is told about the user; in a plan or on a worker's standard input, never anywhere else."""

    username: str
    password: str
    identity_token: str
    """Exchanged for access tokens instead of user name and password."""
    registry_token: str
    """Sent as it is."""


class Surroundings(TypedDict, total=False):
    """Of the client's environment, what decides how the network is reached."""

    http_proxy: str
    https_proxy: str
    no_proxy: str
    cert_file: str
    """Authorities to trust instead of the system's (`SSL_CERT_FILE`), an absolute path."""
    cert_dir: str


class Access(TypedDict, total=False):
    """How registries are reached; an argument of PullImage, PushImage and of the registry jobs."""

    auth: dict[str, Credentials]
    """By host: the name in references, or a mirror's host and port."""
    registries: Registries
    surroundings: Surroundings
    stall: float
    """Seconds without data after which a transfer counts as broken; default 30."""


def user_file(environ: Mapping[str, str]) -> str:
    """Where the user's file lies or would lie."""
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '/')}/.config"
    return f"{home}/pycompose/config.toml"


def read(files: Iterable[str]) -> Registries:
    """The settings of all files, of two that speak of one registry the later; missing files are fine.

    Raises ValueError that names file and key.
    """
    found: Registries = {}
    for path in files:
        for name, said in _tables(path).items():
            settings: RegistrySettings = found.setdefault(name, {})
            for key, value in said.items():
                _set(settings, key, value, f'{path}: registry."{name}".{key}')
    return found


def _tables(path: str) -> dict[str, dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ValueError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    import tomllib

    try:
        document = tomllib.loads(data.decode())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    tables = document.get("registry", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError(f'{path}: registry: not a table; write [registry."host"]')
    return tables


def _set(settings: RegistrySettings, key: str, value: Any, where: str) -> None:
    if key == "insecure":
        if not isinstance(value, bool):
            raise ValueError(f"{where}: must be true or false")
        settings["insecure"] = value
    elif key == "ca":
        if not isinstance(value, str):
            raise ValueError(f"{where}: must be a path")
        settings["ca"] = value
    elif key in ("mirrors", "auth_hosts"):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{where}: must be a list of strings")
        if key == "mirrors":
            settings["mirrors"] = value
        else:
            settings["auth_hosts"] = value
    else:
        raise ValueError(f"{where}: unknown key; there are insecure, ca, mirrors and auth_hosts")
