"""Repositories as build contexts, served over HTTP and git's own protocol; what hostile ones hold does no harm."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import Stack, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

TOKEN = "s3cr3t-token"
BACKEND = "/usr/lib/git-core/git-http-backend"


class Server:
    """Repositories below one folder, at `url`; those named `private…` want TOKEN."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def do_POST(self) -> None:
                owner.answer(self)

            def log_message(self, *_words: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        wanted = "basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if path.startswith("/private") and request.headers.get("Authorization") != wanted:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="git"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.command,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run([BACKEND], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ")[::2] for line in head.decode().split("\r\n") if line]
        fields = dict(lines)
        request.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)


def git(folder: Path, *words: str) -> str:
    environment = {
        **{name: os.environ[name] for name in ("PATH",)},
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "somebody"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "somebody@example.com"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    command = ["git", "-c", "protocol.file.allow=always", "-C", str(folder), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def repository(server: Server, name: str, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
    """A repository with one commit on `main`."""
    path = server.folder / name
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    for file, text in files.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text(text)
    for link, target in (links or {}).items():
        (path / link).symlink_to(target)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "first")
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("repositories"))
    yield made
    made.close()


SHOW = "FROM localhost/host\nCOPY . /src\nRUN cd /src; echo found: $(find . -type f | sort); cat word\n"


@pytest.fixture(scope="module")
def app(server: Server) -> dict[str, str]:
    """Commits by name: `main`, a tag, a branch, with a subdirectory, an ignore file and a submodule."""
    part = repository(server, "part.git", {"inner": "of the submodule\n"})
    path = repository(
        server,
        "app.git",
        {
            "Dockerfile": SHOW,
            ".dockerignore": "secret\n*.log\n",
            "word": "first\n",
            "secret": "x",
            "sub/a.log": "x",
            "sub/Dockerfile": SHOW,
            "sub/word": "below\n",
        },
    )
    first = git(path, "rev-parse", "HEAD")
    git(path, "tag", "-a", "v1", "-m", "one")
    (path / "word").write_text("second\n")
    git(path, "commit", "-qam", "second")
    git(path, "checkout", "-q", "-b", "feature/x")
    (path / "word").write_text("feature\n")
    git(path, "commit", "-qam", "feature")
    git(path, "checkout", "-q", "-b", "modules", "main")
    git(path, "submodule", "add", "-q", "--name", "part", str(part), "part")
    git(path, "config", "-f", ".gitmodules", "submodule.part.url", "../part.git")
    git(path, "commit", "-qam", "with a submodule")
    git(path, "checkout", "-q", "main")
    return {"first": first}


def build(stack: Stack, context: str, *flags: str, ok: bool = True) -> str:
    return stack.run("image", "build", "--progress", "plain", *flags, context, ok=ok).err


def failure(stack: Stack, context: str, *flags: str) -> str:
    result = stack.run("image", "build", "--progress", "quiet", *flags, context, ok=False)
    assert result.code != 0
    assert "Traceback" not in result.err
    return result.err.strip().splitlines()[-1]


def test_a_branch_tag_commit_or_directory_of_a_repository_is_built(
    module_stack: Stack, server: Server, app: dict[str, str]
) -> None:
    url = f"{server.url}/app.git"
    text = build(module_stack, url)
    assert "second" in text
    # the ignore file counts, git's own directory is no part
    assert "found: ./.dockerignore ./Dockerfile ./sub/Dockerfile ./sub/a.log ./sub/word ./word" in text
    assert "first" in build(module_stack, f"{url}#v1")
    assert "first" in build(module_stack, f"{url}#{app['first']}", "--no-cache")
    assert "feature" in build(module_stack, f"{url}#feature/x")
    assert "below" in build(module_stack, f"{url}#main:sub")
    assert "CACHED" in build(module_stack, f"{url}#:sub")


def test_submodules_come_along(module_stack: Stack, server: Server, app: dict[str, str]) -> None:
    assert "./part/inner" in build(module_stack, f"{server.url}/app.git#modules")


def test_a_compose_file_builds_a_repository(module_stack: Stack, server: Server, app: dict[str, str]) -> None:
    module_stack.compose(f"services: {{app: {{build: '{server.url}/app.git#feature/x', image: 'ours:1'}}}}")
    assert "feature" in module_stack.run("--progress", "plain", "build", "--no-cache").out
    module_stack.compose(
        f"services: {{app: {{image: 'ours:2', build: {{context: '{server.url}/app.git#main:sub', dockerfile: Dockerfile}}}}}}"
    )
    assert "below" in module_stack.run("--progress", "plain", "build", "--no-cache").out


def test_an_added_repository_is_a_hit_until_its_branch_moves(module_stack: Stack, server: Server) -> None:
    path = repository(server, "added.git", {"word": "old\n", "deep/file": "x"})
    url = f"{server.url}/added.git"
    module_stack.write(
        "Dockerfile",
        f"""
        FROM localhost/host
        ADD {url}#main:deep /deep
        ADD --keep-git-dir=true {url} /kept
        RUN test -f /deep/file && test -f /kept/.git/HEAD && cat /kept/word
        """,
    )
    assert "old" in build(module_stack, ".")
    assert build(module_stack, ".").count("CACHED") == 4
    (path / "word").write_text("new\n")
    git(path, "commit", "-qam", "moved")
    text = build(module_stack, ".")
    assert text.count("CACHED") == 2
    assert "new" in text


def test_git_s_own_protocol_serves_too(module_stack: Stack, server: Server, app: dict[str, str]) -> None:
    port = free_port()
    words = ["--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={server.folder}"]
    daemon = subprocess.Popen(["/usr/lib/git-core/git-daemon", *words, str(server.folder)], stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        poll(answers)
        assert "first" in build(module_stack, f"git://127.0.0.1:{port}/app.git#{app['first']}", "--no-cache")
    finally:
        daemon.terminate()
        daemon.wait(10)


def test_a_private_repository_wants_a_token(module_stack: Stack, server: Server) -> None:
    repository(server, "private.git", {"Dockerfile": SHOW, "word": "for members\n"})
    url = f"{server.url}/private.git"
    assert "GIT_AUTH_TOKEN" in failure(module_stack, url)
    module_stack.write("token", TOKEN)
    text = build(module_stack, url, "--secret", "id=GIT_AUTH_TOKEN,src=token")
    assert "for members" in text
    host = server.url.removeprefix("http://")
    module_stack.write("Dockerfile", f"FROM localhost/host\nADD {url} /src\nRUN cat /src/word\n")
    text = build(module_stack, ".", "--secret", f"id=GIT_AUTH_TOKEN.{host},src=token")
    assert "for members" in text
    assert TOKEN not in text


def test_what_is_not_there_is_told_in_one_line(module_stack: Stack, server: Server, app: dict[str, str]) -> None:
    url = f"{server.url}/app.git"
    assert "couldn't find remote ref nope" in failure(module_stack, f"{url}#nope")
    assert "no subdirectory nowhere" in failure(module_stack, f"{url}#main:nowhere")
    assert "not found" in failure(module_stack, f"{server.url}/other.git")
    assert "127.0.0.1 port 1" in failure(module_stack, "http://127.0.0.1:1/app.git")
    assert "is not a git reference" in failure(module_stack, f"{url}#--upload-pack=touch /tmp/never")


def test_a_hostile_repository_reaches_nothing_of_this_machine(module_stack: Stack, server: Server) -> None:
    stolen = module_stack.folder / "stolen"
    module_stack.write("private-file", "FROM nothing-of-yours\n")
    own = module_stack.folder
    hostile = repository(
        server,
        "hostile.git",
        {"word": "x\n"},
        {"Dockerfile": f"{own}/private-file", "out": "/etc", "up": "../../../../../../etc/passwd"},
    )
    url = f"{server.url}/hostile.git"
    text = failure(module_stack, url)
    assert "leads out of the build context" in text
    assert "nothing-of-yours" not in text
    assert "outside of the repository" in failure(module_stack, f"{url}#main:out")
    module_stack.write("Dockerfile", "FROM localhost/host\nCOPY --from=repo . /src\nRUN test -L /src/up\n")
    build(module_stack, ".", "--build-context", f"repo={url}")
    module_stack.write("Dockerfile", "FROM localhost/host\nCOPY --from=repo out/hostname /x\n")
    assert "hostname" in failure(module_stack, ".", "--build-context", f"repo={url}")
    linked = repository(server, "linked.git", {"word": "x\n"}, {".dockerignore": f"{own}/private-file"})
    module_stack.write("Dockerfile", "FROM localhost/host\nCOPY --from=repo . /src\n")
    text = failure(module_stack, ".", "--build-context", f"repo={server.url}/{linked.name}")
    assert ".dockerignore: leads out of the build context" in text
    for address in (f"ext::sh -c 'touch {stolen}'", f"file://{server.folder}/part.git"):
        modules = f'[submodule "m"]\n\tpath = m\n\turl = "{address}"\n'
        (hostile / ".gitmodules").write_text(modules)
        git(hostile, "update-index", "--add", "--cacheinfo", f"160000,{git(hostile, 'rev-parse', 'HEAD')},m")
        git(hostile, "add", ".gitmodules")
        git(hostile, "commit", "-qm", "a submodule")
        assert "not allowed" in failure(module_stack, url)
    assert not stolen.exists()
