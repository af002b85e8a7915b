"""Send single HTTP requests: proxy, certificates and time-outs are settled here, redirects and retries are not.

urllib3 would follow redirects with the Authorization header and retry what cannot be repeated, so both are off; its
errors become two kinds, the broken connection that may be tried again and the failure that will not heal.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3 import exceptions as errors

from runtime.errors import InvalidParameter, Unavailable
from runtime.images.registry.proxies import proxy_for
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.wire.registries import Surroundings

urllib3.disable_warnings(errors.InsecureRequestWarning)  # the user's settings say so

CONNECT_TIMEOUT: Final = 15.0
STALL_TIMEOUT: Final = 30.0
USER_AGENT: Final = f"pycompose/{VERSION}"
_POOL: Final = 8
_DOCKER_CERTIFICATES: Final = "/etc/docker/certs.d"
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep them, for an interpreter whose OpenSSL was built for another place."""


class Broken(Unavailable):
    """A connection that could not be made or did not last; another attempt may succeed."""


class Unreachable(Broken):
    """No such host, or nobody listens there: from one that never answered, another attempt hears the same."""


class NoTls(Broken):
    """The TLS handshake failed; the host may speak plain HTTP."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whose certificates count for one host."""

    verify: bool = True
    ca: str = ""
    host: str = ""
    """For certificates that lie where Docker looks for them."""


class Transport:
    """Connections to any host, kept and shared by threads."""

    def __init__(self, surroundings: Surroundings, *, stall: float = STALL_TIMEOUT) -> None:
        self._surroundings = surroundings
        self.stall = stall
        self._pools: dict[tuple[Trust, str], urllib3.PoolManager] = {}

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        trust: Trust,
        body: Any = None,
    ) -> urllib3.BaseHTTPResponse:
        """One request; the response with its body unread, whatever its status.

        Raises Broken and NoTls, and InvalidParameter for certificates or proxies that cannot be used.
        """
        proxy = proxy_for(url, self._surroundings)
        pool = self._pool(trust, proxy)
        try:
            return pool.request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, **headers},
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except errors.HTTPError as error:
            raise _failure(error, url, proxy) from error
        except OSError as error:
            raise Broken(f"{_place(url)}: {(error.strerror or str(error)).lower()}") from error

    def close(self) -> None:
        """Close all kept connections."""
        for pool in self._pools.values():
            pool.clear()

    def _pool(self, trust: Trust, proxy: str) -> urllib3.PoolManager:
        found = self._pools.get((trust, proxy))
        if found is not None:
            return found
        settings: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT, read=self.stall),
            "maxsize": _POOL,
            "ssl_context": _context(trust, self._surroundings),
            "retries": False,
        }
        if not trust.verify:
            settings["assert_hostname"] = False
        if not proxy:
            made = urllib3.PoolManager(**settings)
        else:
            address = urlsplit(proxy)
            place = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
            headers = {}
            if address.username:
                user = f"{unquote(address.username)}:{unquote(address.password or '')}"
                headers = urllib3.make_headers(proxy_basic_auth=user)
            vouched = _context(Trust(), self._surroundings)
            made = urllib3.ProxyManager(place, proxy_headers=headers, proxy_ssl_context=vouched, **settings)
        # two threads may make one each: the later one is kept, the other goes with its last request
        self._pools[(trust, proxy)] = made
        return made


def read_bounded(response: urllib3.BaseHTTPResponse, limit: int, what: str) -> bytes:
    """The whole body; raises InvalidParameter once it is longer than `limit` bytes, Broken when it does not end."""
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = read_some(response, limit + 1, what)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            response.close()
            raise InvalidParameter(f"{what}: larger than {limit} bytes")


def read_some(response: urllib3.BaseHTTPResponse, size: int, what: str) -> bytes:
    """What has arrived of the body, at most `size` bytes; empty at its end. Raises Broken."""
    try:
        return response.read1(size)
    except errors.HTTPError as error:
        response.close()
        raise Broken(f"{what}: {_reason(error)}") from error
    except (OSError, ValueError) as error:
        response.close()
        raise Broken(f"{what}: connection broken: {error}") from error


def discard(response: urllib3.BaseHTTPResponse) -> None:
    """Be done with a response: its connection is kept if little is left of the body."""
    try:
        left = int(response.headers.get("content-length", "-1"))
    except ValueError:
        left = -1
    try:
        if 0 <= left <= 1 << 16:
            response.drain_conn()
            response.release_conn()
            return
    except errors.HTTPError:
        pass
    response.close()


def _context(trust: Trust, surroundings: Surroundings) -> ssl.SSLContext:
    # not create_default_context: its strict mode refuses the authorities of many companies
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    cert_file, cert_dir = surroundings.get("cert_file", ""), surroundings.get("cert_dir", "")
    try:
        if cert_file:
            context.load_verify_locations(cafile=cert_file)
        if cert_dir:
            context.load_verify_locations(capath=cert_dir)
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(f"certificates {cert_file or cert_dir}: {_words(error)}") from error
    if not cert_file:
        context.load_default_certs()
        if not context.cert_store_stats()["x509_ca"]:
            bundle = next((path for path in _BUNDLES if os.path.exists(path)), "")
            if bundle:
                context.load_verify_locations(cafile=bundle)
    _load_own(context, trust)
    return context


def _load_own(context: ssl.SSLContext, trust: Trust) -> None:
    """What is trusted for one registry only, and the certificate we show to it."""
    directory = f"{_DOCKER_CERTIFICATES}/{trust.host}" if trust.host else ""
    names = sorted(os.listdir(directory)) if directory and os.path.isdir(directory) else []
    path = trust.ca
    try:
        if path:
            context.load_verify_locations(cafile=path)
        for name in names:
            path = f"{directory}/{name}"
            if name.endswith(".crt"):
                context.load_verify_locations(cafile=path)
            elif name.endswith(".cert"):
                context.load_cert_chain(path, f"{path.removesuffix('.cert')}.key")
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(f"certificate {path}: {_words(error)}") from error


def _failure(error: errors.HTTPError, url: str, proxy: str) -> Broken:
    place = _place(url)
    if proxy and isinstance(error, errors.ProxyError):
        via = urlsplit(proxy)
        reason = _reason(error.original_error if isinstance(error.original_error, Exception) else error)
        return Broken(f"{place}: proxy {via.hostname}{f':{via.port}' if via.port else ''}: {reason}")
    if isinstance(error, errors.NameResolutionError) or _is_refused(error):
        return Unreachable(f"{place}: {_reason(error)}")
    if isinstance(error, errors.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return NoTls(f"{place}: {_reason(error)}")
    if url.startswith("https:") and isinstance(error, errors.ProtocolError):
        return NoTls(f"{place}: {_reason(error)}")
    return Broken(f"{place}: {_reason(error)}")


def _is_refused(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__
    return error is not None


def _place(url: str) -> str:
    return f"registry {urlsplit(url).netloc}"


_REASONS: Final = (
    (errors.NameResolutionError, "no such host"),
    (errors.NewConnectionError, ""),  # a kind of ConnectTimeoutError, but its cause says more
    (errors.ConnectTimeoutError, "no connection within {connect:g} seconds"),
    (errors.ReadTimeoutError, "no data for too long: stalled"),
    (errors.IncompleteRead, "connection broken: unexpected end of data"),
)


def _reason(error: Exception) -> str:
    for kind, text in _REASONS:
        if isinstance(error, kind):
            if text:
                return text.format(connect=CONNECT_TIMEOUT)
            break
    cause: BaseException = error
    while not isinstance(cause, OSError):
        inner = next((item for item in (cause.__cause__, *reversed(cause.args)) if isinstance(item, Exception)), None)
        if inner is None or inner is cause:
            break
        cause = inner
    return _words(cause)


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
