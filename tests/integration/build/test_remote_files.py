"""Files and archives that a build fetches over HTTP: what they become, and when the cache counts."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.kit.lyingregistry import tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

STAMP = "Wed, 21 Oct 2015 07:28:00 GMT"


@dataclass
class Site:
    """Answers by path: (status, headers, body)."""

    url: str = ""
    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = made.pages.get(self.path, (404, {}, b"none"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def build(stack: Stack, dockerfile: str, *flags: str) -> str:
    stack.write("Dockerfile", dockerfile)
    return stack.run("image", "build", "--progress", "plain", *flags, ".").err


def failure(stack: Stack, dockerfile: str) -> str:
    stack.write("Dockerfile", dockerfile)
    result = stack.run("image", "build", "--progress", "quiet", ".", ok=False)
    assert result.code != 0
    return result.err


def test_a_fetched_file_is_roots_with_the_servers_time_and_the_name_of_its_address(
    module_stack: Stack, site: Site
) -> None:
    disposition = {"Content-Disposition": 'attachment; filename="../../etc/evil"', "Last-Modified": STAMP}
    site.pages["/dir/tool.sh"] = (200, disposition, b"echo tool\n")
    site.pages["/moved"] = (302, {"Location": f"{site.url}/dir/tool.sh"}, b"")
    text = build(
        module_stack,
        f"""
        FROM localhost/host
        ADD {site.url}/dir/tool.sh?version=1 {site.url}/moved /got/
        ADD --chmod=755 {site.url}/dir/tool.sh /named
        RUN stat -c '%n %a %u:%g %Y' /got/* /named; ls /etc/evil || echo no evil
        """.replace("?version=1", ""),
    )
    assert "/got/tool.sh 600 0:0 1445412480" in text
    assert "/got/moved 600 0:0 1445412480" in text
    assert "/named 755 0:0 1445412480" in text
    assert "no evil" in text


def test_an_unchanged_file_is_a_hit_and_a_changed_one_is_not(module_stack: Stack, site: Site) -> None:
    site.pages["/data"] = (200, {}, b"one")
    text = f"FROM localhost/host\nADD {site.url}/data /data\nRUN cat /data\n"
    build(module_stack, text)
    assert build(module_stack, text).count("CACHED") == 3
    site.pages["/data"] = (200, {}, b"two")
    assert build(module_stack, text).count("CACHED") == 1


def test_a_checksum_is_kept_to_and_failures_are_told_with_their_line(module_stack: Stack, site: Site) -> None:
    site.pages["/data"] = (200, {}, b"checked")
    digest = hashlib.sha256(b"checked").hexdigest()
    build(module_stack, f"FROM localhost/host\nADD --checksum=sha256:{digest} {site.url}/data /data\n")
    wrong = failure(module_stack, f"FROM localhost/host\nADD --checksum=sha256:{'0' * 64} {site.url}/data /data\n")
    assert "digest mismatch" in wrong
    assert "Dockerfile:2" in wrong
    missing = failure(module_stack, f"FROM localhost/host\nADD {site.url}/none /data\n")
    assert f"{site.url}/none" in missing
    assert "404" in missing
    site.pages["/cut"] = (200, {"Content-Length": "1000"}, b"short")
    assert "failed to load" in failure(module_stack, f"FROM localhost/host\nADD {site.url}/cut /data\n")
    site.pages["/local"] = (302, {"Location": "file:///etc/passwd"}, b"")
    assert "failed to load" in failure(module_stack, f"FROM localhost/host\nADD {site.url}/local /data\n")
    assert "Connection refused".lower() in failure(
        module_stack, "FROM localhost/host\nADD http://127.0.0.1:1/data /data\n"
    )


def test_a_fetched_archive_is_kept_unless_it_is_to_be_unpacked(module_stack: Stack, site: Site) -> None:
    site.pages["/a.tgz"] = (200, {}, gzip.compress(tar_of({"inner": b"x"})))
    text = build(
        module_stack,
        f"""
        FROM localhost/host
        ADD {site.url}/a.tgz /kept/
        ADD --unpack=true {site.url}/a.tgz /unpacked/
        RUN ls /kept /unpacked | tr '\\n' ' '
        """,
    )
    assert "/kept: a.tgz" in text
    assert "/unpacked: inner" in text


def test_an_archive_is_a_context_and_stays_inside(module_stack: Stack, site: Site) -> None:
    dockerfile = b"FROM localhost/host\nCOPY word /word\nRUN cat /word\n"
    site.pages["/context.tar.gz"] = (200, {}, gzip.compress(tar_of({"Dockerfile": dockerfile, "word": b"archived\n"})))
    done = module_stack.run("image", "build", "--progress", "plain", f"{site.url}/context.tar.gz")
    assert "archived" in done.err
    site.pages["/Dockerfile.txt"] = (200, {}, b"FROM localhost/host\nRUN echo alone\n")
    assert "alone" in module_stack.run("image", "build", "--progress", "plain", f"{site.url}/Dockerfile.txt").err
    site.pages["/evil.tar"] = (200, {}, tar_of({"../../escaped": b"x", "Dockerfile": dockerfile}))
    module_stack.run("image", "build", f"{site.url}/evil.tar", ok=False)
    assert not list(module_stack.root.rglob("escaped"))
