"""Requests to one endpoint for one repository: authorised, redirected, tried again; Authorization stays with its host."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from runtime.errors import EngineError, Forbidden, InvalidParameter
from runtime.images.registry.auth import Authorizer
from runtime.images.registry.backoff import Backoff, asked_pause
from runtime.images.registry.failures import MAX_BODY, LoginFailed, denied, failure
from runtime.images.registry.transport import Broken, NoTls, Trust, Unreachable, discard, read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import urllib3

    from runtime.images.reference import Reference
    from runtime.images.registry.hosts import Endpoint
    from runtime.images.registry.transport import Transport
    from runtime.wire.registries import Credentials

    Body = Callable[[], Any]
    """Makes the body anew for each attempt."""

MAX_REDIRECTS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt may better."""


class Session:
    """Talks to one endpoint about one repository."""

    def __init__(
        self,
        endpoint: Endpoint,
        reference: Reference,
        credentials: Credentials,
        transport: Transport,
        *,
        push: bool = False,
        sources: Iterable[str] = (),
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`sources`: repositories of the same registry that blobs may be mounted from."""
        self.endpoint = endpoint
        self.reference = reference
        self.push = push
        self.transport = transport
        self.authorizer = Authorizer(endpoint, credentials, transport)
        self._backoff = backoff
        self._scheme = endpoint.schemes[0]
        self._settled = len(endpoint.schemes) == 1
        self._answered = False
        actions = "pull,push" if push else "pull"
        scopes = [f"repository:{reference.path}:{actions}", *(f"repository:{path}:pull" for path in sources)]
        self._scope = " ".join(scopes)

    def repository(self, rest: str) -> str:
        """The path of something of the repository: `blobs/sha256:...`."""
        return f"/v2/{self.reference.path}/{rest}"

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        backoff: Backoff | None = None,
        what: str = "",
    ) -> urllib3.BaseHTTPResponse:
        """The answer to a request for a path of the endpoint or for an address that it gave, whatever its status.

        Passing failures are tried again as `backoff` allows. Raises Broken in the end, NotFound or Forbidden without
        access, and what failure() makes of 429 and 5xx.
        """
        pauses = backoff or self._backoff()
        while True:
            asked = 0.0
            try:
                response = self._authorised(method, path, headers or {}, body)
            except Broken as error:
                if isinstance(error, Unreachable) and not self._answered:
                    raise
                broken: EngineError = error
            else:
                self._answered = True
                if response.status not in PASSING:
                    return response
                asked = asked_pause(response.headers.get("retry-after"), time.time())
                broken = self.failure(response, what)
            if not pauses.again(asked):
                raise broken

    def once(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> urllib3.BaseHTTPResponse:
        """As send, but a failure that may pass is the caller's: for what cannot be sent twice. Raises Broken."""
        return self._authorised(method, path, headers or {}, body)

    def failure(self, response: urllib3.BaseHTTPResponse, what: str = "") -> EngineError:
        """What to raise for an answer; it is read and done with."""
        try:
            data = read_bounded(response, MAX_BODY, "error answer")
        except EngineError:
            data = b""
        return failure(self.reference, response.status, data, push=self.push, what=what)

    def _authorised(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None
    ) -> urllib3.BaseHTTPResponse:
        used = self.authorizer.header(self._scope)
        response, own = self._followed(method, path, headers, used, body)
        if response.status != 401 or not own:
            return response
        challenges = response.headers.getlist("www-authenticate")
        discard(response)
        if not self._answer(challenges, used):
            raise self._refused(challenges)
        used = self.authorizer.header(self._scope)
        response, own = self._followed(method, path, headers, used, body)
        if response.status == 401 and own:
            # a second answer would be the same: whoever asks for ever gets none
            raise self.failure(response)
        return response

    def _answer(self, challenges: list[str], used: str) -> bool:
        try:
            return self.authorizer.answer(challenges, self._scope, scheme=self._scheme, used=used)
        except LoginFailed as error:
            raise denied(self.reference, f"unauthorized: {error.fields['text']}", push=self.push) from error

    def _refused(self, challenges: list[str]) -> EngineError:
        wrong = "" if self.authorizer.anonymous else "unauthorized: incorrect username or password"
        return denied(self.reference, wrong or "no basic auth credentials" * bool(challenges), push=self.push)

    def _followed(
        self, method: str, path: str, headers: Mapping[str, str], authorization: str, body: Body | None
    ) -> tuple[urllib3.BaseHTTPResponse, bool]:
        """The answer at the end of the redirects, and whether our own host gave it."""
        response, url = self._first(method, path, headers, authorization, body)
        for _ in range(MAX_REDIRECTS):
            place = response.headers.get("location")
            if response.status not in REDIRECTS or not place:
                return response, self._is_own(url)
            discard(response)
            if response.status == 303:
                method, body = "GET", None
            url = self.absolute(urljoin(url, place))
            response = self._send(method, url, headers, authorization, body)
        discard(response)
        raise InvalidParameter(f"registry {self.endpoint.name}: redirects more than {MAX_REDIRECTS} times")

    def _first(
        self, method: str, path: str, headers: Mapping[str, str], authorization: str, body: Body | None
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """Send to the endpoint; until a first answer came, another scheme is tried if it has one."""
        if not path.startswith("/"):
            url = self.absolute(path)
            return self._send(method, url, headers, authorization, body), url
        while True:
            url = self.endpoint.url(self._scheme, path)
            try:
                response = self._send(method, url, headers, authorization, body)
            except NoTls:
                if self._settled or self._scheme != "https":
                    raise
                self._scheme = "http"
                continue
            self._settled = True
            return response, url

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str, body: Body | None
    ) -> urllib3.BaseHTTPResponse:
        own = self._is_own(url)
        sent = {**headers, "Authorization": authorization} if authorization and own else headers
        endpoint = self.endpoint
        trust = Trust(verify=endpoint.verify, ca=endpoint.ca, host=endpoint.host) if own else Trust(ca=endpoint.ca)
        return self.transport.send(method, url, headers=sent, trust=trust, body=body() if body else None)

    def absolute(self, url: str) -> str:
        """An address that the registry gave, made whole and checked; raises Forbidden for one that gives up TLS."""
        whole = urljoin(self.endpoint.url(self._scheme, "/"), url)
        parts = urlsplit(whole)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise InvalidParameter(f"registry {self.endpoint.name}: leads to an invalid address")
        if parts.scheme == "http" and self._scheme == "https":
            raise Forbidden(f"registry {self.endpoint.name}: leads to {parts.netloc} without TLS")
        return whole

    def _is_own(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.netloc == self.endpoint.host and parts.scheme == self._scheme
