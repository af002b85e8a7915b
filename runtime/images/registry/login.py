"""Ask a registry whether credentials are good, as `login` does before it stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, Forbidden
from runtime.images.registry.auth import Authorizer
from runtime.images.registry.failures import LoginFailed, words_of
from runtime.images.registry.hosts import endpoint as endpoint_of
from runtime.images.registry.transport import NoTls, Trust, read_bounded

if TYPE_CHECKING:
    import urllib3

    from runtime.images.registry.hosts import Endpoint
    from runtime.images.registry.transport import Transport
    from runtime.wire.registries import Access

_MAX_ANSWER = 1 << 16


def check_login(registry: str, access: Access, transport: Transport) -> dict[str, Any]:
    """`Status` (Docker's words) and `IdentityToken` if the authority gives one; raises Forbidden if they are no good."""
    endpoint = endpoint_of(registry, access.get("registries", {}))
    authorizer = Authorizer(endpoint, access.get("auth", {}).get(registry, {}), transport)
    scheme, response = _first(endpoint, transport)
    url = endpoint.url(scheme, "/v2/")
    if response.status == 401:
        challenges = response.headers.getlist("www-authenticate")
        read_bounded(response, _MAX_ANSWER, url)
        try:
            known = authorizer.answer(challenges, "", scheme=scheme, used="")
        except LoginFailed as error:
            raise _failed(url, 401, error.fields["text"]) from error
        if not known:
            raise Forbidden(f"registry {registry}: offers no way to log in that is known here")
        response = _send(endpoint, transport, url, {"Authorization": authorizer.header("")})
    body = _body(response, url)
    if response.status != 200:
        raise _failed(url, response.status, words_of(body))
    return {"Status": "Login Succeeded", "IdentityToken": authorizer.identity_token}


def _first(endpoint: Endpoint, transport: Transport) -> tuple[str, urllib3.BaseHTTPResponse]:
    for scheme in endpoint.schemes:
        try:
            return scheme, _send(endpoint, transport, endpoint.url(scheme, "/v2/"), {})
        except NoTls:
            if scheme == endpoint.schemes[-1]:
                raise
    raise Forbidden(f"registry {endpoint.name}: no way to reach it")


def _send(endpoint: Endpoint, transport: Transport, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    trust = Trust(verify=endpoint.verify, ca=endpoint.ca, host=endpoint.host)
    return transport.send("GET", url, headers=headers, trust=trust)


def _body(response: urllib3.BaseHTTPResponse, what: str) -> bytes:
    try:
        return read_bounded(response, _MAX_ANSWER, what)
    except EngineError:
        return b""


def _failed(url: str, status: int, text: str) -> Forbidden:
    words = {401: "401 Unauthorized", 403: "403 Forbidden"}.get(status, str(status))
    return Forbidden(f"login attempt to {url} failed with status: {words}{f': {text}' if text else ''}")
