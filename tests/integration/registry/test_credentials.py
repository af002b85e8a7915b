"""Who sees the user's credentials: the registry they belong to, and nobody else, whatever it says."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import EngineError, Forbidden, InvalidParameter, NotFound
from runtime.images.registry.login import check_login
from runtime.images.registry.pull import make_transport
from tests.kit.lyingregistry import LyingRegistry, Request, digest_of, error, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

ONE = tar_of({"one": b"1" * 1000})
ROSE = {"username": "rose", "password": "swordfish"}
BASIC = f"Basic {base64.b64encode(b'rose:swordfish').decode()}"


@pytest.fixture
def stranger() -> Iterator[LyingRegistry]:
    """Another host."""
    made = LyingRegistry(address="127.0.0.2").start()
    yield made
    made.stop()


def ask_for(registry: LyingRegistry, wanted: str, challenge: str) -> None:
    """Answer 401 with `challenge` unless the request has `wanted` as its Authorization."""

    def gate(request: Request) -> bool:
        if not request.path.startswith("/v2/") or request.headers.get("authorization") == wanted:
            return False
        request.answer(401, error("UNAUTHORIZED", "authentication required"), WWW_Authenticate=challenge)
        return True

    registry.lies.insert(0, gate)


def give_tokens(server: LyingRegistry, token: str = "good", status: int = 200) -> None:
    """Be a token service at /token for rose."""

    def answer(request: Request) -> None:
        if request.headers.get("authorization") not in (BASIC, None):
            request.answer(401, error("UNAUTHORIZED", "wrong password"))
        else:
            request.answer(status, json.dumps({"token": token, "expires_in": 60}).encode())

    server.lie("/token", answer)


def bearer(server: LyingRegistry, scheme: str = "http") -> str:
    return f'Bearer realm="{scheme}://{server.host}/token?x=1",service="it, \\"self\\"",scope="repository:app:pull"'


def secrets_at(server: LyingRegistry) -> list[str]:
    return [headers["authorization"] for _, _, headers in server.requests if "authorization" in headers]


def test_basic_credentials_are_sent_once_they_are_asked_for(registry, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, BASIC, 'Basic realm="test"')
    assert pull("app:1", auth={registry.host: ROSE}).changed
    assert "authorization" not in registry.requests[0][2]


def test_a_token_is_fetched_for_the_scope_and_used_for_all_requests(registry, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    give_tokens(registry)
    pull("app:1", auth={registry.host: ROSE})
    [(path, headers)] = [(path, headers) for _, path, headers in registry.requests if path.startswith("/token")]
    assert headers["authorization"] == BASIC
    assert "x=1&service=it%2C+%22self%22" in path
    assert "scope=repository%3Aapp%3Apull" in path
    assert "account=rose" in path


def test_anonymous_tokens_need_no_credentials(registry, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    give_tokens(registry)
    pull("app:1")
    assert set(secrets_at(registry)) == {"Bearer good"}


def test_an_identity_token_is_exchanged(registry, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    bodies: list[bytes] = []

    def answer(request: Request) -> None:
        bodies.append(request.body)
        request.answer(200, b'{"access_token": "good"}')

    registry.lie("/token", answer, method="POST")
    pull("app:1", auth={registry.host: {"identity_token": "long"}})
    assert b"grant_type=refresh_token&refresh_token=long" in bodies[0]
    assert len(bodies) == 1


def test_an_expired_token_is_renewed(registry, pull) -> None:
    made = registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    give_tokens(registry)
    challenge = bearer(registry)
    registry.lies.insert(
        0,
        lambda request: (
            digest_of(made.layers[0]) in request.path
            and len(registry.asked("GET", "/token")) < 2
            and (request.answer(401, WWW_Authenticate=challenge), True)[1]
        ),
    )
    pull("app:1", auth={registry.host: ROSE})
    assert len(registry.asked("GET", "/token")) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_token_service_on_another_host_gets_no_credentials(registry, stranger, pull, scheme: str) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(stranger, scheme))
    give_tokens(stranger)
    with pytest.raises(Forbidden, match="no TLS" if scheme == "http" else "which is another host; .*auth_hosts"):
        pull("app:1", auth={registry.host: ROSE})
    assert not stranger.requests
    assert not secrets_at(registry)


def test_the_credentials_of_one_registry_are_no_others(registry, stranger, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, BASIC, 'Basic realm="test"')
    with pytest.raises(NotFound, match="no basic auth credentials"):
        pull("app:1", auth={stranger.host: ROSE})
    assert not secrets_at(registry)


@pytest.mark.parametrize("what", ["blob", "manifest"])
def test_a_redirect_to_another_host_goes_without_authorization(registry, stranger, pull, what: str) -> None:
    made = registry.image("app:1", ONE)
    stranger.image("app:1", ONE)
    ask_for(registry, BASIC, 'Basic realm="test"')
    part = f"/blobs/{digest_of(made.layers[0])}" if what == "blob" else "/manifests/"
    registry.lie(part, lambda request: request.answer(307, Location=f"http://{stranger.host}{request.path}"))
    assert pull("app:1", auth={registry.host: ROSE}).changed
    assert stranger.requests
    assert not secrets_at(stranger)


def test_another_host_that_asks_for_credentials_gets_none(registry, stranger, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, BASIC, 'Basic realm="test"')
    registry.lie("/blobs/", lambda request: request.answer(307, Location=f"http://{stranger.host}{request.path}"))
    ask_for(stranger, BASIC, 'Basic realm="test"')
    with pytest.raises(EngineError):
        pull("app:1", auth={registry.host: ROSE, stranger.host: ROSE})
    assert not secrets_at(stranger)


def test_a_token_service_that_redirects_is_not_followed(registry, stranger, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    registry.lie("/token", lambda request: request.answer(307, Location=f"http://{stranger.host}/token"))
    with pytest.raises(EngineError, match="token service answered 307"):
        pull("app:1", auth={registry.host: ROSE})
    assert not stranger.requests


def test_redirects_in_a_circle_end(registry, pull) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(302, Location=request.path))
    with pytest.raises(InvalidParameter, match="redirects more than 5 times"):
        pull("app:1")


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://rose:pw@127.0.0.1/", "gopher:x"])
def test_a_redirect_to_no_web_address_is_refused(registry, pull, place: str) -> None:
    registry.image("app:1", ONE)
    registry.lie("/manifests/", lambda request: request.answer(302, Location=place))
    with pytest.raises(InvalidParameter, match="invalid address"):
        pull("app:1")


@pytest.mark.parametrize("kind", ["basic", "bearer", "other", "none"])
def test_a_registry_that_is_never_satisfied_is_asked_twice(registry, store, pull, kind: str) -> None:
    registry.image("app:1", ONE)
    challenges = {"basic": "Basic", "bearer": bearer(registry), "other": 'Negotiate x, Digest realm="y"', "none": ""}
    ask_for(registry, "never", challenges[kind])
    give_tokens(registry)
    with pytest.raises(NotFound, match="pull access denied for .*/app, repository does not exist or may require"):
        pull("app:1", auth={registry.host: ROSE})
    assert len(registry.asked("GET", "/manifests/")) <= 2
    assert len(store.list()) == 1


def test_wrong_credentials_are_called_so(registry, pull) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    give_tokens(registry)
    with pytest.raises(NotFound, match=r"wrong password \(log in with `pycompose login 127") as caught:
        pull("app:1", auth={registry.host: {"username": "rose", "password": "sword"}})
    assert "sword`" not in caught.value.message


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b"<html>", b'{"token": ""}', b'{"token": "' + b"x" * (2 << 20) + b'"}']
)
def test_what_is_no_token_is_refused(registry, pull, answer: bytes) -> None:
    registry.image("app:1", ONE)
    ask_for(registry, "Bearer good", bearer(registry))
    registry.lie("/token", lambda request: request.answer(200, answer))
    with pytest.raises(InvalidParameter, match="token"):
        pull("app:1")


def test_login_tries_the_credentials(registry) -> None:
    def login(**credentials: str) -> dict[str, Any]:
        access: Any = {"auth": {registry.host: credentials}}
        transport = make_transport(access)
        try:
            return check_login(registry.host, access, transport)
        finally:
            transport.close()

    ask_for(registry, BASIC, 'Basic realm="test"')
    assert login(**ROSE)["Status"] == "Login Succeeded"
    with pytest.raises(Forbidden, match=r"login attempt to http://.*/v2/ failed with status: 401 Unauthorized"):
        login(username="rose", password="wrong")
    registry.lies.clear()
    ask_for(registry, "Bearer good", bearer(registry))
    registry.lie("/token", lambda request: request.answer(200, b'{"token": "good", "refresh_token": "long"}'), times=1)
    assert login(**ROSE)["IdentityToken"] == "long"
    give_tokens(registry)
    with pytest.raises(Forbidden, match="401 Unauthorized: wrong password"):
        login(username="rose", password="wrong")
