"""Find out how to reach registries on behalf of the user: credentials, settings, proxy, certificates.

Only the client knows the user's home and environment, so it resolves all of it; what it found goes along with the
request that needs it and is written nowhere.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from runtime.wire import registries as settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.wire.registries import Access, Credentials, Registries, Surroundings

HUB = "docker.io"
HUB_KEY = "https://index.docker.io/v1/"
"""What Docker calls the credentials of docker.io."""
HUB_NAMES = frozenset({"index.docker.io", "registry-1.docker.io", HUB_KEY})
HELPER_TIMEOUT = 60.0
"""Seconds; a helper may ask the user to unlock a keyring."""
TOKEN_USER = "<token>"
NOT_FOUND = "credentials not found"


class RegistryAccess:
    """What one command knows about registries; nothing is read before somebody asks."""

    def __init__(self, environ: Mapping[str, str], cwd: str = "/") -> None:
        self._environ = environ
        self._cwd = cwd
        self._config: dict[str, Any] | None = None
        self._registries: Registries | None = None
        self._known: dict[str, Credentials] = {}

    def of(self, references: Iterable[str]) -> Access:
        """What is needed to reach the registries of `references` and their mirrors.

        Raises ComposeError for a config.json, config.toml or credential helper that cannot be used.
        """
        return self.of_registries({registry_of(reference) for reference in references})

    def of_registries(self, names: Iterable[str]) -> Access:
        """The same for registries by name."""
        registries = self._settings()
        hosts = set(names)
        for name in list(hosts):
            hosts |= {_host(url) for url in registries.get(name, {}).get("mirrors", ())}
        auth = {host: found for host in sorted(hosts) if (found := self.credentials(host))}
        access: Access = {"auth": auth, "registries": registries, "surroundings": self._surroundings()}
        return access

    def credentials(self, host: str) -> Credentials:
        """What the user has stored for a registry; empty if nothing."""
        if host not in self._known:
            self._known[host] = self._credentials(host)
        return self._known[host]

    @property
    def config_path(self) -> str:
        """Docker's config.json, whether it exists or not."""
        directory = self._environ.get("DOCKER_CONFIG") or f"{self._environ.get('HOME', '/root')}/.docker"
        return f"{directory}/config.json"

    def config(self) -> dict[str, Any]:
        """Its content; empty if there is none. Raises ComposeError if it is no JSON object."""
        if self._config is None:
            self._config = read_config(self.config_path)
        return self._config

    def helper(self, host: str) -> str:
        """The name of the credential helper in charge of a registry (`docker-credential-NAME`); empty for none."""
        config = self.config()
        chosen = (config.get("credHelpers") or {}).get(store_key(host)) or (config.get("credHelpers") or {}).get(host)
        return str(chosen or config.get("credsStore") or "")

    def ask_helper(self, name: str, action: str, message: str) -> str:
        """Run a credential helper; what it prints. Raises ComposeError with its own words."""
        import subprocess

        program = f"docker-credential-{name}"
        try:
            done = subprocess.run(
                [_find(program, self._environ.get("PATH", "")), action],
                input=message,
                capture_output=True,
                text=True,
                env=dict(self._environ),
                timeout=HELPER_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise ComposeError(
                f"{program}: executable file not found in $PATH, but {self.config_path} names it"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ComposeError(f"{program} {action}: {error}") from error
        if done.returncode:
            words = (done.stdout or done.stderr).strip()
            if NOT_FOUND in words:
                return ""
            raise ComposeError(f"error getting credentials: {program} {action}: exit status {done.returncode}: {words}")
        return done.stdout

    def _credentials(self, host: str) -> Credentials:
        helper = self.helper(host)
        if helper:
            return self._from_helper(helper, host)
        auths = self.config().get("auths")
        entries: dict[str, Any] = auths if isinstance(auths, dict) else {}
        for key, entry in entries.items():
            if isinstance(entry, dict) and _host_of_key(key) == host:
                found = _from_entry(entry, f"{self.config_path}: auths: {key}")
                if found:
                    return found
        return {}

    def _from_helper(self, helper: str, host: str) -> Credentials:
        answer = self.ask_helper(helper, "get", store_key(host))
        if not answer:
            return {}
        try:
            said = json.loads(answer)
            user, secret = str(said["Username"]), str(said["Secret"])
        except (ValueError, KeyError, TypeError) as error:
            raise ComposeError(f"docker-credential-{helper} get: its answer cannot be read") from error
        if user == TOKEN_USER:
            return {"identity_token": secret}
        return {"username": user, "password": secret} if user else {}

    def _settings(self) -> Registries:
        if self._registries is None:
            try:
                self._registries = settings.read((settings.SYSTEM_FILE, settings.user_file(self._environ)))
            except ValueError as error:
                raise ComposeError(str(error)) from error
            for each in self._registries.values():
                if each.get("ca"):
                    each["ca"] = self._absolute(each["ca"])
        return self._registries

    def _surroundings(self) -> Surroundings:
        def first(*names: str) -> str:
            return next((self._environ[name] for name in names if self._environ.get(name)), "")

        said: Surroundings = {
            "http_proxy": first("HTTP_PROXY", "http_proxy"),
            "https_proxy": first("HTTPS_PROXY", "https_proxy"),
            "no_proxy": first("NO_PROXY", "no_proxy"),
            "cert_file": self._absolute(first("SSL_CERT_FILE")),
            "cert_dir": self._absolute(first("SSL_CERT_DIR").partition(":")[0]),
        }
        return said

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._cwd, os.path.expanduser(path))) if path else ""


def registry_of(reference: str) -> str:
    """The registry's name in a reference: `docker.io` for short names."""
    first, slash, _ = reference.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        return HUB
    return HUB if first in HUB_NAMES else first


def store_key(host: str) -> str:
    """What the credentials of a registry are called in config.json and to helpers."""
    return HUB_KEY if host == HUB else host


def read_config(path: str) -> dict[str, Any]:
    """A config.json; empty if there is none. Raises ComposeError."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ComposeError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(found, dict):
        raise ComposeError(f"{path}: not a JSON object")
    return found


def _host_of_key(key: str) -> str:
    if key in HUB_NAMES:
        return HUB
    return registry_of(f"{_host(key)}/") if "." in _host(key) or ":" in _host(key) else _host(key)


def _host(url: str) -> str:
    return url.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_entry(entry: dict[str, Any], where: str) -> Credentials:
    if entry.get("identitytoken"):
        return {"identity_token": str(entry["identitytoken"])}
    if entry.get("registrytoken"):
        return {"registry_token": str(entry["registrytoken"])}
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except ValueError as error:
            raise ComposeError(f"{where}: auth is not base64") from error
        if not colon:
            raise ComposeError(f"{where}: auth holds no user and password")
        return {"username": user, "password": password.strip("\0")}
    if entry.get("username"):
        return {"username": str(entry["username"]), "password": str(entry.get("password") or "")}
    return {}


def _find(program: str, path: str) -> str:
    import shutil

    found = shutil.which(program, path=path or None)
    if found is None:
        raise FileNotFoundError(program)
    return found
