"""Log in to registries and out: credentials are tried first, then stored where Docker's own tools find them."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import ComposeError
from compose.usecases.registryauth import HUB, HUB_NAMES, TOKEN_USER, read_config, store_key

if TYPE_CHECKING:
    from compose.usecases.registryauth import RegistryAccess
    from runtime.client.client import Client
    from runtime.wire.registries import Credentials

UNENCRYPTED = """\
WARNING! Your password will be stored unencrypted in {path}.
Configure a credential helper to remove this warning. See
https://docs.docker.com/engine/reference/commandline/login/#credentials-store
"""


class LoggedIn(NamedTuple):
    """What a login is to tell."""

    status: str
    warning: str = ""


def registry_name(server: str) -> str:
    """The registry's name in references of what the user calls a server; docker.io if nothing."""
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return HUB if not host or host in HUB_NAMES or host == HUB else host


def log_in(client: Client, access: RegistryAccess, registry: str, credentials: Credentials) -> LoggedIn:
    """Try credentials and store them. Raises Forbidden if the registry refuses them, ComposeError, EngineError."""
    known = access.of_registries([registry])
    known["auth"] = {registry: credentials}
    answer = client.registry_login(registry, known)
    token = str(answer.get("IdentityToken") or "")
    warning = _store(access, registry, {"identity_token": token, **_user(credentials)} if token else credentials)
    return LoggedIn(str(answer["Status"]), warning)


def log_out(access: RegistryAccess, registry: str) -> None:
    """Forget what is stored for a registry; raises ComposeError."""
    key = store_key(registry)
    helper = access.helper(registry)
    if helper:
        access.ask_helper(helper, "erase", key)
    config = read_config(access.config_path)
    auths = config.get("auths")
    if not isinstance(auths, dict):
        return
    names = {key, registry, f"https://{registry}", f"http://{registry}", f"https://{registry}/v1/"}
    left = {name: entry for name, entry in auths.items() if name not in names}
    if len(left) != len(auths):
        _write(access.config_path, {**config, "auths": left})


def _store(access: RegistryAccess, registry: str, credentials: Credentials) -> str:
    """Hand credentials to the helper in charge, else to config.json; the warning that the latter deserves."""
    key = store_key(registry)
    token = credentials.get("identity_token", "")
    config = read_config(access.config_path)
    auths = dict(config.get("auths") or {})
    helper = access.helper(registry)
    if helper:
        user, secret = (TOKEN_USER, token) if token else (credentials["username"], credentials["password"])
        access.ask_helper(helper, "store", json.dumps({"ServerURL": key, "Username": user, "Secret": secret}))
        if auths.get(key) != {}:
            # Docker's tools look here for the names of registries
            _write(access.config_path, {**config, "auths": {**auths, key: {}}})
        return ""
    pair = f"{credentials.get('username', '')}:{'' if token else credentials.get('password', '')}"
    entry = {"auth": base64.b64encode(pair.encode()).decode()} | ({"identitytoken": token} if token else {})
    if auths.get(key) == entry:
        return UNENCRYPTED.format(path=access.config_path)
    _write(access.config_path, {**config, "auths": {**auths, key: entry}})
    return UNENCRYPTED.format(path=access.config_path)


def _user(credentials: Credentials) -> Credentials:
    return {"username": credentials["username"]} if "username" in credentials else {}


def _write(path: str, config: dict[str, Any]) -> None:
    """Replace config.json, readable by its owner only; a symbolic link stays one."""
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(config, file, indent="\t")
                file.flush()
                os.fsync(fd)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ComposeError(f"{path}: {(error.strerror or str(error)).lower()}") from error
