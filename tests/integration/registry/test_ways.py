"""The ways to a registry: TLS with an authority of one's own, proxies with a password, mirrors."""

from __future__ import annotations

import base64
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from runtime.errors import EngineError, NotFound, Unavailable
from tests.kit.lyingregistry import LyingRegistry, tar_of
from tests.kit.registry import certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")]

ONE = tar_of({"one": b"1" * 1000})
ROSE = {"username": "rose", "password": "swordfish"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "registry.test")
    return folder


@pytest.fixture
def secure(certificates: Path, registry: LyingRegistry) -> Iterator[LyingRegistry]:
    made = LyingRegistry().start(certificates)
    made.image("app:1", ONE)
    yield made
    made.stop()


class Proxy:
    """A forward proxy for whom every name is `target`; wants user and password."""

    def __init__(self, target: str) -> None:
        self.seen: list[str] = []
        proxy = self
        address = target.rpartition(":")

        class Handler(BaseHTTPRequestHandler):
            def allowed(self) -> bool:
                proxy.seen.append(f"{self.command} {self.path}")
                wanted = f"Basic {base64.b64encode(b'ann:p@ss').decode()}"
                if self.headers.get("proxy-authorization") == wanted:
                    return True
                self.send_response(407)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return False

            def do_CONNECT(self) -> None:
                if not self.allowed():
                    return
                with socket.create_connection((address[0], int(address[2]))) as there:
                    self.send_response(200)
                    self.end_headers()
                    self.splice(there)
                self.close_connection = True

            def do_GET(self) -> None:
                if not self.allowed():
                    return
                with socket.create_connection((address[0], int(address[2]))) as there:
                    parts = urlsplit(self.path)
                    there.sendall(
                        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
                    )
                    while data := there.recv(65536):
                        self.wfile.write(data)
                self.close_connection = True

            def splice(self, there: socket.socket) -> None:
                while True:
                    for one in select.select([self.connection, there], [], [])[0]:
                        data = one.recv(65536)
                        if not data:
                            return
                        (there if one is self.connection else self.connection).sendall(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://ann:p%40ss@127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_an_authority_of_ones_own_is_trusted_for_its_registry(secure, certificates, pull) -> None:
    settings = {"insecure": False, "ca": str(certificates / "ca.pem")}
    assert pull(f"{secure.host}/app:1", registries={secure.host: settings}).changed


def test_a_certificate_that_nobody_vouches_for_is_an_error(secure, registry, pull) -> None:
    with pytest.raises(Unavailable, match="certificate verify failed"):
        pull(f"{secure.host}/app:1", registries={secure.host: {"insecure": False}})
    assert not secure.requests


def test_a_registry_called_insecure_needs_no_certificate(secure, pull) -> None:
    assert pull(f"{secure.host}/app:1", registries={secure.host: {"insecure": True}}).changed


def test_the_clients_bundle_of_authorities_counts(secure, certificates, pull) -> None:
    access = {"registries": {secure.host: {"insecure": False}}, "surroundings": {"cert_file": certificates / "ca.pem"}}
    assert pull(f"{secure.host}/app:1", **access).changed
    access["surroundings"] = {"cert_file": "/nowhere.pem"}
    with pytest.raises(EngineError, match=r"certificates /nowhere.pem: no such file"):
        pull(f"{secure.host}/app:1", **access)


def test_plain_http_is_for_insecure_registries_only(registry, pull) -> None:
    registry.image("app:1", ONE)
    with pytest.raises(Unavailable, match="tls|certificate|ssl"):
        pull("app:1", registries={registry.host: {"insecure": False}})
    assert not registry.requests


def test_a_redirect_may_not_give_up_tls(secure, certificates, registry, pull) -> None:
    registry.image("app:1", ONE)
    secure.lie("/blobs/", lambda request: request.answer(307, Location=f"http://{registry.host}{request.path}"))
    settings = {"insecure": False, "ca": str(certificates / "ca.pem")}
    with pytest.raises(EngineError, match="without TLS"):
        pull(f"{secure.host}/app:1", registries={secure.host: settings})
    assert not registry.requests


def test_a_proxy_with_a_password_leads_to_a_registry_with_tls(secure, certificates, pull) -> None:
    proxy = Proxy(secure.host)
    try:
        surroundings = {"https_proxy": proxy.url, "cert_file": str(certificates / "ca.pem"), "no_proxy": "other.test"}
        assert pull("registry.test/app:1", surroundings=surroundings).changed
        assert set(proxy.seen) == {"CONNECT registry.test:443"}
    finally:
        proxy.stop()


def test_a_proxy_leads_to_a_registry_without_tls(registry, pull) -> None:
    registry.image("app:1", ONE)
    proxy = Proxy(registry.host)
    try:
        surroundings = {"http_proxy": proxy.url}
        done = pull(
            "registry.test/app:1",
            surroundings=surroundings,
            registries={"registry.test": {"mirrors": ["http://registry.test"]}},
        )
        assert done.changed
        assert proxy.seen[0] == "GET http://registry.test/v2/app/manifests/1"
    finally:
        proxy.stop()


def test_a_proxy_that_refuses_is_named_without_its_password(secure, registry, pull) -> None:
    proxy = Proxy(secure.host)
    try:
        with pytest.raises(Unavailable, match=r"registry registry.test: proxy 127.0.0.1") as caught:
            pull("registry.test/app:1", surroundings={"https_proxy": proxy.url.replace("p%40ss", "wrong")})
        assert "wrong" not in caught.value.message
        assert "407" in caught.value.message
    finally:
        proxy.stop()


def test_a_mirror_is_asked_first_with_its_own_credentials(registry, secure, pull) -> None:
    registry.image("library/app:1", ONE)
    access = {
        "registries": {"docker.io": {"mirrors": [f"http://{registry.host}"]}},
        "auth": {"docker.io": ROSE},
    }
    done = pull("docker.io/library/app:1", **access)
    assert done.image.repo_tags == ["app:1"]
    assert not [headers for _, _, headers in registry.requests if "authorization" in headers]


def test_what_a_mirror_has_not_comes_from_the_registry(registry, secure, pull) -> None:
    access = {"registries": {secure.host: {"mirrors": [f"http://{registry.host}/some/path"]}}}
    assert pull(f"{secure.host}/app:1", **access).changed
    assert registry.requests[0][1] == "/some/path/v2/app/manifests/1"


def test_nobody_there_is_said_in_a_line(registry, pull) -> None:
    with pytest.raises(Unavailable, match=r"registry 127.0.0.1:1: connection refused"):
        pull("127.0.0.1:1/app:1")
    with pytest.raises(Unavailable, match=r"registry nowhere.invalid: no such host"):
        pull("nowhere.invalid/app:1")
    with pytest.raises(NotFound, match="manifest unknown"):
        pull("app:1")
