"""What a build fetches: archives and files over HTTP, git repositories; checked where a digest or commit was named.

Only the schemes asked for are followed, names in archives never lead outside, and git runs with no hooks, no prompts and
none of the engine's configuration.
"""

from __future__ import annotations

import base64
import hashlib
import os
import posixpath
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from runtime.errors import InvalidParameter, NotFound, NotSupported, SystemFailure
from runtime.images.compression import decompressed, looked_at
from runtime.images.unpack import unpack_layer

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping
    from urllib.request import Request

    from runtime.build.dockerfile.contextref import Git
    from runtime.build.progress import Vertex

_CHUNK: Final = 1 << 18
_TIMEOUT: Final = 60.0
_BLOCK: Final = 512
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_GIT_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "HOME": "/dev/null",
    "LC_ALL": "C",
    # for submodules too: a repository that names `file:` or `ext::` would read this machine's files or run programs
    "GIT_ALLOW_PROTOCOL": "http:https:ssh:git",
}
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Fetched(NamedTuple):
    """A downloaded file."""

    path: str
    name: str
    """What its URL calls it."""
    digest: str
    mtime: int
    """Seconds; 0 where the server does not say."""


def fetch(url: str, directory: str, vertex: Vertex | None, checksum: str = "") -> Fetched:
    """Download `url` into `directory`; raises NotFound, SystemFailure, InvalidParameter for a wrong checksum."""
    # 20 ms of imports that few builds need
    import urllib.error
    import urllib.request

    name = posixpath.basename(unquote(urlsplit(url).path)) or "__unnamed__"
    path = f"{directory}/{os.urandom(6).hex()}"
    os.mkdir(path, 0o700)
    target = f"{path}/{name}"
    try:
        with urllib.request.urlopen(_request(url), timeout=_TIMEOUT) as answer, open(target, "wb") as file:
            digest = _copy(url, answer, file, vertex, int(answer.headers.get("Content-Length") or 0))
            stamp = answer.headers.get("Last-Modified")
    except urllib.error.HTTPError as error:
        kind = NotFound if error.code == 404 else SystemFailure
        raise kind(f"failed to load {url}: invalid response status {error.code}") from error
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise SystemFailure(f"failed to load {url}: {str(reason).lower()}") from error
    os.chmod(target, 0o600)
    if checksum and checksum != digest:
        raise InvalidParameter(f"digest mismatch {digest}: {checksum}")
    mtime = _seconds(stamp)
    os.utime(target, (mtime, mtime))
    return Fetched(target, name, digest, mtime)


def download_context(url: str, directory: str, vertex: Vertex | None) -> tuple[str, bytes | None]:
    """A context behind a URL: an archive, unpacked, or a Dockerfile alone. Raises as fetch and unpack_context do."""
    fetched = fetch(url, directory, vertex)
    place = f"{directory}/content"
    os.mkdir(place, 0o755)
    return unpack_context(fetched.path, place)


def unpack_context(path: str, directory: str) -> tuple[str, bytes | None]:
    """Unpack an archive (any compression) into `directory`; what is none is a Dockerfile.

    Raises InvalidParameter for an archive that is damaged or would write outside.
    """
    with open(path, "rb") as file:
        head, plain = looked_at(decompressed(file)[0], _BLOCK)
        if not is_tar(head):
            data = plain.read(8 << 20)
            return directory, data
        unpack_layer(plain, directory, flat=True)
    return directory, None


def is_tar(head: bytes) -> bool:
    """Whether the first block of a file is a tar header, by its checksum."""
    block = head[:_BLOCK]
    if len(block) < _BLOCK:
        return False
    field = block[148:156].strip(b"\0 ")
    try:
        expected = int(field, 8)
    except ValueError:
        return False
    return sum(block[:148]) + 8 * 32 + sum(block[156:]) == expected


def archive_stream(file: BinaryIO) -> io.BufferedReader | None:
    """The plain stream of a tar archive in any compression; None if the file is none (it is then at its start)."""
    try:
        head, plain = looked_at(decompressed(file)[0], _BLOCK)
    except (InvalidParameter, OSError, EOFError):
        head = b""
    if is_tar(head):
        return plain
    file.seek(0)
    return None


def clone(
    git: Git,
    directory: str,
    vertex: Vertex | None,
    ssh: Mapping[str, str],
    *,
    known_hosts: str,
    keep: bool = False,
    secrets: Mapping[str, bytes] | None = None,
) -> str:
    """Check a repository out into `directory`; the directory that is meant (its `subdir`).

    `secrets` may hold GIT_AUTH_TOKEN or GIT_AUTH_HEADER, or either with `.HOST`, as with BuildKit; they go to that
    repository's host alone. `known_hosts`: the file in which hosts that ssh meets for the first time are noted. Raises NotSupported without git, SystemFailure with git's words, InvalidParameter for a wrong commit.
    """
    environment = {**_GIT_ENVIRONMENT, "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    environment |= {name: os.environ[name] for name in _PROXIES if name in os.environ}
    if ssh:
        environment["SSH_AUTH_SOCK"] = ssh.get("default") or next(iter(ssh.values()))
    environment["GIT_SSH_COMMAND"] = _ssh(known_hosts)
    environment |= _authorization(git.remote, secrets or {})
    check_out(git, directory, environment, vertex, keep=keep)
    place = os.path.realpath(f"{directory}/{git.subdir}")
    if place != os.path.realpath(directory) and not place.startswith(os.path.realpath(directory) + "/"):
        raise InvalidParameter(f"{git.remote}: subdirectory {git.subdir} lies outside of the repository")
    if not os.path.isdir(place):
        raise NotFound(f"{git.remote}: no subdirectory {git.subdir}")
    return place


def _ssh(known_hosts: str) -> str:
    """ssh without this account's configuration and keys: who it is says the agent that the build was lent, nobody else.

    A host is believed the first time, BuildKit believes it every time; what this account knows of hosts counts as well.
    """
    files = f'UserKnownHostsFile="{known_hosts.replace("%", "%%")}" ~/.ssh/known_hosts'
    options = ["BatchMode=yes", "IdentityFile=none", "StrictHostKeyChecking=accept-new", files]
    return shlex.join(["ssh", "-F", "none", *(word for option in options for word in ("-o", option))])


def check_out(
    git: Git, directory: str, environment: Mapping[str, str], vertex: Vertex | None = None, *, keep: bool = False
) -> None:
    """Check a whole repository out into `directory`, with git in this environment; raises as `clone` does."""

    def run(*words: str) -> str:
        return _git(["-C", directory, *words], environment, vertex, git.remote)

    run("-c", "init.defaultBranch=main", "init", "--quiet")
    run("remote", "add", "origin", git.remote)
    ref = git.ref or "HEAD"
    if _COMMIT.fullmatch(ref):
        try:
            run("fetch", "--quiet", "--depth=1", "origin", ref)
        except SystemFailure:
            run("fetch", "--quiet", "--tags", "origin")  # a server that gives no single commits
        target = ref
    else:
        run("fetch", "--quiet", "--depth=1", "origin", ref)
        target = "FETCH_HEAD"
    run("-c", "advice.detachedHead=false", "checkout", "--quiet", target)
    commit = run("rev-parse", "HEAD").strip()
    if git.checksum and not commit.startswith(git.checksum):
        raise InvalidParameter(f"expected checksum to match {git.checksum}, got {commit}")
    if git.submodules is not False and os.path.exists(f"{directory}/.gitmodules"):
        run("submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
    if not (keep or git.keep_git_dir):
        _git_directories(directory)


def commit_behind(git: Git, environment: Mapping[str, str]) -> str:
    """The commit that the ref of a repository stands for now; raises NotFound, and as `clone` does."""
    ref = git.ref or "HEAD"
    if _COMMIT.fullmatch(ref):
        return ref
    words = _git(["ls-remote", "--", git.remote, ref, f"{ref}^{{}}"], environment, None, git.remote).split()
    # of an annotated tag both are listed, the commit that it is of last
    found = [commit for commit, name in zip(words[::2], words[1::2], strict=True) if _named(name, ref)]
    if not found or not _COMMIT.fullmatch(found[-1]):
        raise NotFound(f"repository {git.remote} does not contain ref {ref}")
    return found[-1]


def _named(name: str, ref: str) -> bool:
    """Whether git itself would take `ref` for this name: a pattern finds every name that ends with it."""
    name = name.removesuffix("^{}")
    return name in (ref, f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}")


def commit_of(directory: str) -> str:
    """The commit that `clone` with `keep` checked out."""
    environment = {**_GIT_ENVIRONMENT, "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    return _git(["-C", directory, "rev-parse", "HEAD"], environment, None, directory).strip()


def _authorization(remote: str, secrets: Mapping[str, bytes]) -> dict[str, str]:
    """git's settings for a private repository: in the environment, for everybody may read a command line."""
    parts = urlsplit(remote) if "://" in remote else None
    if parts is None or parts.scheme not in ("http", "https"):
        return {}
    host = parts.netloc.rpartition("@")[2]
    for suffix in (f".{host}", ""):
        header = secrets.get(f"GIT_AUTH_HEADER{suffix}")
        token = secrets.get(f"GIT_AUTH_TOKEN{suffix}")
        if header is None and token is None:
            continue
        value = (
            header if header is not None else b"basic " + base64.b64encode(b"x-access-token:" + (token or b"").strip())
        )
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{host}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"Authorization: {value.decode(errors='replace').strip()}",
        }
    return {}


def _git(words: list[str], environment: Mapping[str, str], vertex: Vertex | None, remote: str) -> str:
    command = ["git", "-c", "core.hooksPath=/dev/null", *words]
    try:
        done = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise NotSupported("git repository: git is not installed on this machine") from error
    if vertex is not None and done.stderr:
        vertex.log(done.stderr.encode())
    if done.returncode:
        reason = _reason(done.stderr, done.returncode, environment)
        raise SystemFailure(f"failed to load git repository {remote}: {reason}")
    return done.stdout


def _reason(words: str, code: int, environment: Mapping[str, str]) -> str:
    """The one line of git's that says why; ssh's own where git only says that ssh failed."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith(("warning:", "hint:"))]
    at = next((index for index, line in enumerate(lines) if line.startswith(("fatal:", "error:"))), len(lines) - 1)
    if at < 0:
        return f"git exited with code {code}"
    if at and "could not read from remote" in lines[at].lower():
        at -= 1
    reason = lines[at].partition(": ")[2] if lines[at].startswith(("fatal:", "error:")) else lines[at]
    if environment.get("HOME") != _GIT_ENVIRONMENT["HOME"]:
        return reason  # not a build's: what its user lends counts by itself
    if "could not read Username" in reason or "Authentication failed" in reason:
        return f"{reason}; a private repository needs the build secret GIT_AUTH_TOKEN, or an ssh URL"
    if "Permission denied (" in reason:
        return f"{reason.removesuffix('.')}; lend the build an ssh agent that has the key: --ssh default"
    if "Host key verification failed" in reason:
        forget = next((line for line in lines if line.startswith("ssh-keygen ")), "")
        return f"{reason.removesuffix('.')}{forget and f'; if the host has a new key, forget the old one: {forget}'}"
    return reason


def _git_directories(directory: str) -> None:
    from runtime.linux.treeremoval import remove_tree

    for path, directories, files in os.walk(directory):
        if ".git" in directories:
            remove_tree(f"{path}/.git")
            directories.remove(".git")
        if ".git" in files:
            os.unlink(f"{path}/.git")


def _request(url: str) -> Request:
    from urllib.request import Request

    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise InvalidParameter(f"failed to load {url}: only http and https are fetched")
    return Request(url, headers={"User-Agent": "pycompose", "Accept-Encoding": "identity"})


def _copy(url: str, answer: Any, file: BinaryIO, vertex: Vertex | None, total: int) -> str:
    digest = hashlib.sha256()
    done = 0
    while data := answer.read(_CHUNK):
        digest.update(data)
        file.write(data)
        done += len(data)
    if total and done != total:
        raise SystemFailure(f"failed to load {url}: download ended after {done} of {total} bytes")
    if vertex is not None:
        from runtime.build.contexts import size

        vertex.status(f"downloading {size(done)}", done=True)
    return f"sha256:{digest.hexdigest()}"


def _seconds(stamp: str | None) -> int:
    if not stamp:
        return 0
    import email.utils

    try:
        return max(int(email.utils.parsedate_to_datetime(stamp).timestamp()), 0)
    except (TypeError, ValueError):
        return 0
