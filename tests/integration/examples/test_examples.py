"""The examples that build their images: built, served, changed; the bases stand in for those of Docker Hub."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.integration.software.conftest import IMAGE
from tests.integration.watch.test_watch import Session
from tests.kit.stack import REPOSITORY, free_port, poll

if TYPE_CHECKING:
    from tests.integration.software.conftest import Tenant
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(700)]

HOST = "localhost/host"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BUILD_SECONDS = 180.0


def take(stack: Stack, example: str, **environment: str) -> int:
    """The example as the project, its port in the environment; the port."""
    shutil.copytree(REPOSITORY / "examples" / example, stack.folder)
    port = free_port()
    stack.environment |= {"PORT": str(port), **environment}
    return port


@pytest.mark.skipif(not os.path.exists(CERTIFICATES), reason="no certificates to trust the package index by")
def test_flask_is_installed_with_pip_and_counts_in_redis(software: Tenant) -> None:
    stack = software
    port = take(stack, "flask-redis", PYTHON=IMAGE, REDIS=IMAGE)
    stack.run("up", "-d", "--wait", timeout=BUILD_SECONDS)
    pages = [stack.http(port) for _ in range(2)]
    assert [re.findall(r"Hello from Flask|Visits: \d", page) for page in pages] == [
        ["Hello from Flask", "Visits: 1"],
        ["Hello from Flask", "Visits: 2"],
    ]
    assert stack.exec("web", "sh", "-c", "id -un; ls /run/secrets; ls /root/.cache/pip", ok=False).lines == ["nobody"]
    page = stack.folder / "web/app.py"
    page.write_text(page.read_text().replace("Hello from Flask", "Goodbye from Flask"))
    again = stack.run("up", "-d", "--build", "--wait", timeout=BUILD_SECONDS)
    install = re.search(r"^#(\d+) \[web \d/\d\] RUN .*pip install", again.out, re.MULTILINE)
    assert install
    assert f"#{install[1]} CACHED" in again.out
    assert "Recreate  (image changed)" in again.err
    assert re.match(r"Goodbye from Flask on \w+!\nVisits: 3\n", stack.http(port))


@pytest.mark.skipif(not shutil.which("gcc"), reason="this machine has no C compiler")
def test_a_c_program_is_alone_in_its_image(software: Tenant) -> None:
    stack = software
    port = take(stack, "c-scratch", GCC=HOST)
    done = stack.run("up", "-d", "--build", timeout=BUILD_SECONDS)
    assert "test" not in re.findall(r"^#\d+ \[hello (\w+) ", done.out, re.MULTILINE)
    assert poll(lambda: _page(stack, port), what="the page") == "Hello from C, alone in its image!\n"
    archive = stack.folder / "files.tar"
    stack.run("image", "build", "-q", "-o", f"type=tar,dest={archive}", "--build-arg", f"GCC={HOST}", ".")
    assert _names(str(archive)) == ["hello"]
    assert stack.run("down").err.count("Stopped") == 1
    stack.run("image", "build", "-q", "--target", "test", "--build-arg", f"GCC={HOST}", ".")


@pytest.mark.skipif(not shutil.which("npm"), reason="this machine has no npm")
@pytest.mark.skipif(not os.path.exists(CERTIFICATES), reason="no certificates to trust the package index by")
def test_a_front_end_is_bundled_served_and_bundled_again_when_it_changes(software: Tenant) -> None:
    stack = software
    port = take(stack, "frontend", NODE=HOST, NGINX=IMAGE)
    stack.run("up", "-d", "--build", "--wait", timeout=BUILD_SECONDS)
    assert '<script type="module" src="/main.js">' in stack.http(port)
    assert "Hello from " in stack.http(port, path="/main.js")
    assert stack.exec("web", "sh", "-c", "ls /build /site", ok=False).lines == ["/site:", "index.html", "main.js"]
    session = Session(stack, "watch", "--no-up")
    try:
        session.says("Watch enabled for web")
        page = stack.folder / "app/index.html"
        page.write_text(page.read_text().replace("Front end", "Another title"))
        session.says("index.html synced")
        assert "Another title" in stack.http(port)
        (stack.folder / "app/src/greeting.js").write_text("export const greeting = (who) => `Changed for ${who}`;\n")
        session.says("greeting.js rebuilt, recreated")
        assert "Changed for " in poll(lambda: _page(stack, port, "/main.js"), what="the new bundle")
    finally:
        session.stop()


def _page(stack: Stack, port: int, path: str = "/") -> str:
    try:
        return stack.http(port, path=path)
    except OSError:
        return ""


def _names(archive: str) -> list[str]:
    with tarfile.open(archive) as files:
        return [entry.name.strip("./") for entry in files if entry.name.strip("./")]
