"""The same Dockerfiles built here and by a real BuildKit: equal files, equal configuration, equal history.

Skipped unless PYCOMPOSE_TEST_PEER is set; the engine is that of tests/rigs/docker.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit import peer, peer_build
from tests.kit.rootfs import PROGRAMS as FEW
from tests.kit.rootfs import tiny_rootfs, tiny_tar
from tests.kit.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.peer,
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not peer.is_chosen() or os.geteuid() != 0, reason=f"needs root and {peer.SWITCH}"),
]

BASE = f"pycompose-test/build{secrets.token_hex(3)}:base"
PROGRAMS = (*FEW, "ln", "mv", "mkfifo")
EMPTY: tuple[Any, ...] = (None, "", False, [], {})
UNCOMPARED = frozenset({"Image", "Hostname"})
"""Of the engine's answer, not of the image."""

DOCKERFILES = {
    "every kind of COPY": """
        FROM {base}
        WORKDIR /work
        WORKDIR rel
        COPY src /copied
        COPY src/ /copied2/
        COPY f*.txt /files/
        COPY f1.txt renamed
        COPY f1.txt .
        COPY f1.txt f2.txt many/
        COPY --chown=app:wheel --chmod=640 src /chowned
        COPY --chown=33 f1.txt /made/by/copy/
        COPY --chown=12:wheel src /numbers
        COPY --chown=nobodyhere f1.txt /unknown/
        COPY --link f2.txt /linked/
        COPY src/link /linkcopy
        COPY src/link /linkdir/
        COPY src/deep/dirlink /dl
        COPY nothing* f1.txt /some/
        COPY src/deep /copied
        COPY . /everything
        """,
    "ADD of archives and files": """
        FROM {base}
        ADD arch.tgz /unpacked/
        ADD arch.tgz f1.txt /both/
        ADD f2.txt /added
        COPY arch.tgz /kept/
        """,
    "RUN in its forms": """
        FROM {base}
        ARG VERSION=1
        ARG EMPTY
        ENV A=1 B="two words"
        RUN echo $VERSION $A "$B" > /version; mkdir -p /d/e; chmod 700 /d
        RUN ["/bin/touch", "/execform"]
        RUN <<EOF
        echo heredoc > /heredoc
        rm /execform
        EOF
        COPY <<ONE <<TWO /docs/
        version $VERSION
        ONE
        two
        TWO
        USER app
        WORKDIR /home/app/w
        RUN id > idout
        RUN true
        RUN --mount=type=tmpfs,target=/tt --mount=type=cache,target=/var/cache/c touch /tt/x
        """,
    "configuration": """
        FROM {base}
        ENV ONE=1
        ENV ONE=2 TWO=$ONE
        LABEL l1=x l2="y z"
        EXPOSE 80 443/tcp 53/udp
        VOLUME /data /data2
        VOLUME ["/data3"]
        STOPSIGNAL SIGINT
        HEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=2 CMD curl -f http://x || exit 1
        USER app:wheel
        SHELL ["/bin/sh", "-ec"]
        CMD echo shell form
        ENTRYPOINT ["/bin/e", "a b"]
        CMD ["x", "y"]
        ONBUILD RUN echo later
        MAINTAINER somebody
        """,
    "stages": """
        FROM {base} AS build
        RUN mkdir -p /out/sub; echo made > /out/sub/file; chmod 4711 /out/sub/file; echo x > /out/x
        RUN touch /out/sub/.hidden
        FROM build AS more
        RUN rm /out/x
        FROM {base}
        COPY --from=build /out /out
        COPY --from=more /out/sub/file /out/./sub/.hidden /picked/
        COPY --from=build --chown=app /out/sub /owned
        RUN --mount=type=bind,from=build,source=/out,target=/mnt/b cat /mnt/b/x > /seen
        RUN --mount=type=bind,source=f1.txt,target=/mnt/f cat /mnt/f > /seen2
        """,
    "deletions and replacements": """
        FROM {base} AS below
        RUN mkdir -p /a/b /c; echo 1 > /a/b/f; echo 2 > /c/f
        FROM below
        RUN rm -r /a; mkdir /a; echo new > /a/n
        RUN rm /c/f
        COPY f1.txt /c/f
        COPY src /c
        """,
    "links in copies": """
        FROM {base} AS build
        COPY src /o/d
        COPY src/hard /o/e/g
        FROM {base}
        COPY --from=build /o /all
        COPY --from=build /o/e/../d/a.txt /o/e/g /two/
        COPY --from=build /o/[de]/* /globbed/
        COPY --from=build /o/d/deep/dirlink/b.txt /through
        COPY --from=build /o/d/deep/dirlink/ /dlslash/
        COPY --from=build /o/d/link /link/
        COPY --from=build /o/?/h* /q/
        """,
    "working directories": """
        FROM {base}
        ARG PLACE=arg
        ENV BASE=/srv DEEP=a/b
        WORKDIR $BASE
        WORKDIR ${{DEEP}}/${{PLACE}}
        WORKDIR ~
        WORKDIR ../x/./y/
        COPY f1.txt .
        COPY f2.txt ../
        WORKDIR "/with space"
        RUN pwd > where
        """,
    "base with ONBUILD and another stage": """
        FROM {base} AS above
        ONBUILD ARG WHEN=later
        ONBUILD COPY f1.txt /onbuild/
        ONBUILD RUN echo $WHEN > /onbuild/when
        ONBUILD ENV FROM_ONBUILD=1
        FROM above AS middle
        RUN cat /onbuild/when > /copied
        ONBUILD RUN echo last > /last
        FROM middle
        CMD ["true"]
        """,
    "arguments before FROM": """
        ARG BASE={base}
        ARG OUTER=outer
        ARG OTHER=${{OUTER}}-more
        FROM ${{BASE}} AS one
        ARG OUTER
        ARG OTHER=inner
        RUN echo "$OUTER $OTHER" > /one
        FROM ${{BASE:-none}}
        ARG OTHER
        RUN echo "[$OUTER] [$OTHER] [$BASE]" > /two
        ARG OUTER=again
        ENV KEPT=$OUTER
        ENV OTHER=environment
        RUN echo "[$OUTER] [$OTHER]" > /three
        ARG OUTER
        RUN echo "[$OUTER] [$OTHER]" > /four
        COPY --from=one /one /${{OUTER}}/
        """,
    "here-documents": """
        FROM {base}
        ENV WHO=world
        RUN <<'QUOTED'
        echo "$WHO" > /quoted
        QUOTED
        RUN <<-TABS
        \techo tabs > /tabs
        TABS
        RUN <<EOF sh
        echo "$WHO and \\$WHO" > /piped
        EOF
        RUN cat <<ONE <<TWO > /cat
        one $WHO
        ONE
        two
        TWO
        RUN <<EOF
        #!/bin/sh
        echo script > /script
        EOF
        RUN <<SCRIPT
        #!/bin/sh
        echo $0 > /named
        SCRIPT
        COPY --chmod=700 --chown=app <<'RAW' /raw
        $WHO stays
        RAW
        ADD <<COOKED /cooked
        $WHO goes
        COOKED
        """,
    "shells and users": """
        FROM {base}
        SHELL ["/bin/sh", "-exc"]
        RUN echo one > /shell
        RUN mkdir -p /home/app; chmod 777 /home/app
        USER app
        RUN id > /home/app/id; umask > /home/app/mask
        COPY f1.txt /home/app/root-owned
        COPY --chown=app f1.txt /home/app/own
        COPY --chown=:wheel f1.txt /grouponly
        COPY --chown=app: f1.txt /useronly
        COPY --chown=app:nogroup-here f1.txt /nogroup
        COPY --chown=33:nogroup-here f1.txt /numbernogroup
        COPY --chown=33: f1.txt /numberonly
        COPY --chown=nobody-here: f1.txt /nobody
        WORKDIR /home/app/made
        USER 12345:678
        WORKDIR /made/by/nobody
        USER root
        RUN id > /id
        ENTRYPOINT exec top -b
        """,
    "volumes, health and signals": """
        FROM {base}
        RUN mkdir -p /vol; echo before > /vol/before
        VOLUME /vol
        RUN echo after > /vol/after
        COPY f1.txt /vol/
        HEALTHCHECK CMD true
        HEALTHCHECK NONE
        STOPSIGNAL 9
        STOPSIGNAL SIGRTMIN+3
        EXPOSE 8000-8003/udp 80/TCP
        CMD one
        ENTRYPOINT ["e"]
        """,
    "expansion": """
        FROM {base}
        ENV FULL=foobarbar EMPTY=
        ENV A=${{FULL:-x}} B=${{NONE:-default}} C=${{FULL:+set}} D=${{EMPTY:-e}} E=${{EMPTY-f}} F=${{NONE+g}}
        ENV G=${{FULL#f*o}} H=${{FULL%bar}} I=${{FULL%%bar*}} J=${{FULL/bar/X}} K=${{FULL//bar/X}}
        ENV L=\\$FULL M='$FULL' N="a $FULL b" O=${{NONE:-${{FULL}}}}
        ENV FULL=changed P=$FULL
        ENV old style with  spaces $FULL
        LABEL "x y"="$FULL" multi="a\\
        b"
        COPY f1.txt /${{FULL}}/$A
        """,
    "archives of all kinds": """
        FROM {base}
        ADD arch.tgz arch.tar.xz arch.tar.bz2 /all/
        ADD arch.tar /plaintar/
        ADD plain.gz /plain/
        ADD --chown=app:wheel arch.tgz /owned/
        ADD notar.tgz /no/
        ADD arch.tar.xz /newname
        """,
    "excluded files": """
        FROM {base}
        COPY tree /tree
        COPY tree/**/*.md /md/
        COPY tree/*/keep* /keep/
        """,
    "links made by commands": """
        FROM {base}
        RUN mkdir -p /l/d; echo x > /l/a; ln /l/a /l/b; ln -s a /l/c; ln -s /nowhere /l/dangling; ln -s d /l/dirlink
        RUN echo more >> /l/b; ln -s ../l/a /l/d/up; rm /l/c
        RUN mv /l/d /l/moved; ln -sf moved /l/dirlink; mkfifo /l/fifo; chmod 1777 /l/moved; chmod u+s /l/b
        COPY f1.txt /l/dirlink/
        COPY src /l/dirlink/from
        FROM {base}
        COPY --from=0 /l /l2
        COPY --from=0 /l/b /l/dirlink/ /l3/
        """,
    "from nothing": """
        FROM scratch
        COPY f1.txt /
        CMD ["/f1.txt"]
        """,
}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of all kinds."""
    top = tmp_path_factory.mktemp("context")
    (top / "src" / "sub").mkdir(parents=True)
    (top / "src" / "deep" / "er").mkdir(parents=True)
    (top / "src" / "a.txt").write_text("a\n")
    (top / "src" / "sub" / "b.txt").write_text("b\n")
    (top / "src" / "deep" / "er" / "x").write_text("x\n")
    (top / "src" / "link").symlink_to("a.txt")
    (top / "src" / "deep" / "dirlink").symlink_to("../sub")
    (top / "src" / "sub" / "b.txt").chmod(0o4755)
    (top / "src" / "deep" / "er").chmod(0o700)
    os.link(top / "src" / "a.txt", top / "src" / "hard")
    os.chown(top / "src" / "a.txt", 1234, 99)
    for name in ("f1.txt", "f2.txt", "ignored.log", "back.log"):
        (top / name).write_text(f"{name}\n")
    (top / ".dockerignore").write_text(
        "# a comment\n*.log\n!back.log\nDockerfile*\n**/*.tmp\n!tree/a/keep.tmp\n/tree/b\n!tree/b/keep.md\ntree/**/cache/\n"
        "  tree/[c-d]x  \ntree/e?\n!tree/e1/**/in.md\n"
    )
    for name in (
        "a/keep.tmp a/x.tmp a/y.md a/cache/f b/keep.md b/z.md cx/f ex/f e1/deep/in.md e1/deep/f top.md q/cache/g"
    ).split():
        (top / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "tree" / name).write_text(f"{name}\n")
    (top / "plain.gz").write_bytes(gzip.compress(b"no archive\n", mtime=0))
    (top / "notar.tgz").write_text("not even compressed\n")
    for kind in ("xz", "bz2"):
        with tarfile.open(top / f"arch.tar.{kind}", f"w:{kind}") as archive:
            archive.add(top / "src", kind, filter=_somebodys)
    with tarfile.open(top / "arch.tar", "w") as archive:
        archive.add(top / "src", "plain", filter=_somebodys)
    with tarfile.open(top / "arch.tgz", "w:gz") as archive:
        archive.add(top / "src", "top", filter=_somebodys)
    os.utime(top / "src" / "sub" / "b.txt", (981_158_400, 981_158_400))
    return top


def _somebodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid = 1234, 99
    return member


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Ours, with the base image on both sides."""
    found = peer.start()
    os.environ["DOCKER_HOST"] = found["DOCKER_HOST"]
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    stack = Stack(root=root, project=f"t{secrets.token_hex(3)}")
    repository, _, tag = BASE.partition(":")
    archive = tiny_tar(tmp_path_factory.mktemp("base") / "base.tar", PROGRAMS)
    url = f"http://docker/images/create?fromSrc=-&repo={repository}&tag={tag}"
    socket = found["DOCKER_HOST"].removeprefix("unix://")
    command = ["curl", "-fsS", "--unix-socket", socket, "-X", "POST", "-T", str(archive), url]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        stack.run("image", "import", "-q", str(tiny_rootfs(PROGRAMS)), BASE)
        yield stack
        stack.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
        peer_build.ask("DELETE", f"/images/{BASE}?force=1")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_both_builders_make_the_same_of_a_dockerfile(pair: Stack, context: Path, tmp_path: Path, name: str) -> None:
    (context / "Dockerfile").write_text(dedent(DOCKERFILES[name]).format(base=BASE).lstrip())
    theirs, their_files = _theirs(context, tmp_path)
    ours, our_files = _ours(pair, context, tmp_path)
    assert ours["config"] == theirs["config"]
    assert ours["history"] == theirs["history"]
    assert ours["layers"] == theirs["layers"]
    assert our_files == their_files


def _theirs(context: Path, work: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    def build(*flags: str) -> None:
        command = [peer_build.buildx() or "", "build", "--progress=plain", *flags, str(context)]
        environment = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "DOCKER_CONFIG": str(work)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
        assert done.returncode == 0, done.stderr

    build("--iidfile", str(work / "theirs.id"))
    build("-o", f"type=tar,dest={work}/theirs.tar")
    identity = (work / "theirs.id").read_text()
    try:
        found = peer_build.ask("GET", f"/images/{identity}/json")
        history = peer_build.ask("GET", f"/images/{identity}/history")[::-1]
    finally:
        peer_build.ask("DELETE", f"/images/{identity}?force=1")
    told = {
        "config": _plain(found["Config"]),
        "history": [entry["CreatedBy"] for entry in history],
        "layers": len(found["RootFS"]["Layers"]),
    }
    return told, _files(work / "theirs.tar")


def _ours(stack: Stack, context: Path, work: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    stack.run("image", "build", "--progress", "plain", "--iidfile", str(work / "ours.id"), str(context))
    stack.run("image", "build", "--progress", "plain", "-o", f"type=tar,dest={work}/ours.tar", str(context))
    identity = (work / "ours.id").read_text()
    document = json.loads((stack.root / "data" / "images" / "blobs" / "sha256" / identity[7:]).read_text())
    told = {
        "config": _plain(document["config"]),
        "history": [entry.get("created_by", "") for entry in document["history"]],
        "layers": len(document["rootfs"]["diff_ids"]),
    }
    return told, _files(work / "ours.tar")


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if value not in EMPTY and key not in UNCOMPARED}


def _files(path: Path) -> dict[str, Any]:
    """Type, mode, owner, link, content and attributes of every entry; links by what they lead to, in either order."""
    found: dict[str, Any] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("./").rstrip("/")
            file = archive.extractfile(member) if member.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file is not None else ""
            link = member.linkname.removeprefix("./") if member.issym() or member.islnk() else ""
            xattrs = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr")}
            kind = (member.type, member.mode, member.uid, member.gid)
            found[name] = (*kind, link, content, xattrs)
    found.pop("", None)
    found.pop(".", None)
    return {name: entry for name, entry in found.items() if name not in ("etc/hosts", "etc/resolv.conf")}
