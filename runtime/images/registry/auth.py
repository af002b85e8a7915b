"""Answer a registry's 401: Basic, or a token from its authority; credentials reach no host they do not belong to.

The address of the authority (realm) is the registry's word. It gets our credentials only if it is the registry's own
host, or speaks TLS within the same domain (registry-1.docker.io, auth.docker.io), or the user's settings allow it.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from runtime.errors import EngineError, Forbidden, InvalidParameter
from runtime.images.manifest import decode
from runtime.images.registry.failures import login_failure
from runtime.images.registry.transport import Trust, read_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.images.registry.hosts import Endpoint
    from runtime.images.registry.transport import Transport
    from runtime.wire.registries import Credentials

MAX_TOKEN: Final = 1 << 20
CLIENT_ID: Final = "pycompose"
_CHALLENGE: Final = re.compile(r"([A-Za-z]+)(?:\s+|$)((?:[A-Za-z_]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s,\"]*)(?:\s*,\s*)?)*)")
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SECOND_LEVEL: Final = frozenset({"co", "com", "net", "org", "gov", "edu", "ac", "or", "ne", "go"})


class Authorizer:
    """The Authorization header for one endpoint; threads may share it."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials, transport: Transport) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._transport = transport
        self._lock = threading.Lock()
        self._challenge: tuple[str, dict[str, str]] | None = None
        self._tokens: dict[str, str] = {}
        self.identity_token = ""
        """A refresh token that the authority gave for user and password."""

    @property
    def anonymous(self) -> bool:
        """Whether there is nothing to show."""
        return not self._credentials

    def header(self, scope: str) -> str:
        """The header's value as far as it is known; empty before the first challenge."""
        if self._credentials.get("registry_token"):
            return f"Bearer {self._credentials['registry_token']}"
        if self._challenge is None:
            return ""
        if self._challenge[0] == "basic":
            return self._basic()
        token = self._tokens.get(scope)
        return f"Bearer {token}" if token else ""

    def answer(self, challenges: Sequence[str], scope: str, *, scheme: str, used: str) -> bool:
        """Whether another attempt makes sense after a 401 to a request with the header `used` over `scheme`.

        Raises Forbidden where answering would give credentials away, and what the authority answers.
        """
        with self._lock:
            if self.header(scope) not in (used, ""):
                return True  # another thread was quicker
            offered = dict(parse_challenges(challenges))
            if self._credentials.get("registry_token"):
                return False
            if "bearer" in offered:
                self._challenge = ("bearer", offered["bearer"])
                if used and self._tokens.pop(scope, None) is None:
                    return False
                self._tokens[scope] = self._token(offered["bearer"], scope, scheme)
                return True
            if "basic" in offered and not used and self._credentials.get("username"):
                self._challenge = ("basic", {})
                return True
            return False

    def _basic(self) -> str:
        pair = f"{self._credentials.get('username', '')}:{self._credentials.get('password', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _token(self, challenge: dict[str, str], scope: str, scheme: str) -> str:
        realm = challenge.get("realm", "")
        self._check_realm(realm, scheme)
        query = {"service": challenge.get("service", ""), "scope": scope}
        fields = {key: value for key, value in query.items() if value}
        headers: dict[str, str] = {}
        body: bytes | None = None
        method = "GET"
        if self._credentials.get("identity_token"):
            grant = {"grant_type": "refresh_token", "refresh_token": self._credentials["identity_token"]}
            body = urlencode({**grant, "client_id": CLIENT_ID, **fields}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            method = "POST"
        elif self._credentials.get("username"):
            headers["Authorization"] = self._basic()
            fields |= {"account": self._credentials["username"], "client_id": CLIENT_ID}
            if not scope:
                fields["offline_token"] = "true"
        # a scope may be several, which the specification writes as repeated parameters
        scopes = [("scope", one) for one in fields.pop("scope", "").split(" ") if one]
        address = realm
        if method == "GET":
            address += ("&" if "?" in realm else "?") + urlencode([*fields.items(), *scopes])
        response = self._transport.send(method, address, headers=headers, trust=self._trust(realm), body=body)
        what = f"registry {self._endpoint.name}: token from {urlsplit(realm).netloc}"
        data = read_bounded(response, MAX_TOKEN, what)
        if response.status != 200:
            # also a redirect: it would take the credentials along
            raise login_failure(self._endpoint.name, response.status, data, anonymous=self.anonymous)
        found = _parse_token(data, what)
        self.identity_token = str(found.get("refresh_token") or self.identity_token)
        return str(found.get("token") or found.get("access_token"))

    def _check_realm(self, realm: str, scheme: str) -> None:
        parts = urlsplit(realm)
        host = parts.netloc
        name = self._endpoint.name
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in host:
            raise InvalidParameter(f"registry {name}: invalid address of its token service")
        own = host == self._endpoint.host
        if parts.scheme == "http" and not (scheme == "http" and (own or self.anonymous)):
            raise Forbidden(f"registry {name}: its token service {host} has no TLS; nothing was sent there")
        if self.anonymous or own or host in self._endpoint.auth_hosts or parts.hostname in self._endpoint.auth_hosts:
            return
        registry_host = urlsplit(f"//{self._endpoint.host}").hostname or ""
        if not same_site(parts.hostname, registry_host):
            raise Forbidden(
                f"registry {name}: wants its credentials sent to {host}, which is another host; if that is right, "
                f'write auth_hosts = ["{host}"] under [registry."{name}"] in config.toml'
            )

    def _trust(self, realm: str) -> Trust:
        own = urlsplit(realm).netloc == self._endpoint.host
        if not own:
            return Trust(ca=self._endpoint.ca)
        return Trust(verify=self._endpoint.verify, ca=self._endpoint.ca, host=self._endpoint.host)


def parse_challenges(values: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Schemes (lower case) and parameters of WWW-Authenticate headers."""
    found = []
    for value in values:
        for match in _CHALLENGE.finditer(value):
            parameters = {
                key.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
                for key, quoted, plain in _PARAMETER.findall(match[2])
            }
            found.append((match[1].lower(), parameters))
    return found


def same_site(one: str, other: str) -> bool:
    """Whether two host names are of one owner, as far as their names tell; addresses are only equal or not."""
    if one == other:
        return True
    mine, theirs = _site(one), _site(other)
    return bool(mine) and mine == theirs


def _site(host: str) -> str:
    labels = host.lower().rstrip(".").split(".")
    if len(labels) < 2 or labels[-1].isdigit() or ":" in host:
        return ""
    # co.uk and its like are nobody's domain
    size = 3 if len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-size:]) if len(labels) >= size else ""


def _parse_token(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = decode(data, what)
    except EngineError as error:
        raise InvalidParameter(f"{what}: not an answer of a token service") from error
    if not (found.get("token") or found.get("access_token")):
        raise InvalidParameter(f"{what}: the answer has no token in it")
    return found
