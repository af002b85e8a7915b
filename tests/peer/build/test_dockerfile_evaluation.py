"""The same Dockerfile read by BuildKit and by our front end gives one image configuration, or one message.

Nothing is pulled and nothing is run: all start FROM scratch. Never ask about a file without a stage or
a `${v#}` without a pattern: Docker 26 dies of either, and takes every container on it along.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from runtime.build.dockerfile.problem import DockerfileError
from tests.kit import peer, peer_build
from tests.kit.imageconfig import evaluate

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not (peer.is_chosen() or (peer_build.engine() and peer_build.buildx())),
        reason=f"needs {peer.SWITCH}, or DOCKER_HOST of an engine with buildx",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    if peer.is_chosen():
        os.environ["DOCKER_HOST"] = peer.start()["DOCKER_HOST"]


FIELDS = (
    "Env", "Labels", "Cmd", "Entrypoint", "Shell", "ExposedPorts", "Volumes", "User", "WorkingDir", "StopSignal", "OnBuild",
    "Healthcheck",
)  # fmt: skip

WORDS = r"""$A|${A}|"$A"|'$A'|\$A|"\$A"|a\ b|"a b"c|${B:-x}|${B-x}|${E:-x}|${E-x}|${A:+x}|${B:+x}|${E+x}|${E:+x}|${A:?no}
${A#a}|${A##*b}|${A#*b}|${A%b*}|${A%%b*}|${A/b/q}|${A//b/q}|${A//b/}|${A/?c/\/}|${A//b/\}}|${P##*/}|${P%/*}|${P//\//-}
${A//[ab]/x}|${A/a*/<>}|${B:-${A}}|${B:-${A:+"x y"}}|${B:-'$A'}|$1x|$$|$|$-|${0}|a$|"a'b"|'a"b'|"a\b"|'a\b'|a\b|"\\"
<<x|a<b|$Ax|$A.x|${A}x|${Ä}|$Äx|é$A|${A//*/x}|${A/#a/x}|${S#\*}|${S%\?}|${S/\?/Q}|"${A#'a'}"|${A%"bc"}|${A//a/$D}
${A/a/$D}|${A//a/$A}|${A//a/\$A}|${D//a/x}|x"y"'z'|${A//b/"x y"}|""|''|`$A`|${A//a/\$\$}"""

BAD_WORDS = r"""${A:-"unclosed}|${}|${:x}|${B:?no}|${B?gone}|${B:?}|${E:?}|${A:0:1}|${A!x}|${A/b}|${A//}|${A#\q}|${A^^}|"a|'a|${"""

BODIES = [
    "ENV k  v  w\nENV j 'v w'\nENV i v\\ w \"x y\"\nENV h\tv",
    "ENV a=1 b=2 c=\"3 4\" d='5 6' e=7\\ 8 f=g=h i==\nENV z=$PATH",
    "LABEL a b\nLABEL b=1 \"c d\"=2 'e'=3 f\\ g=4 x=\nLABEL b=5\\\n c=6 \\\n# comment\n   # comment\n d=7 \\\n\n e=8",
    "CMD",
    "CMD []",
    'CMD ["a", "b c"]',
    'CMD ["a"',
    "CMD ['a']",
    'CMD ["\\ud800", "\\u00e9é"]',
    'CMD  echo   $A  "b" \\\n  c\\\n d \\\\',
    "CMD a \\\n\n\n  b \\\n # c \\\n d",
    "CMD cat <<EOF\nENV A=1",
    "CMD [NaN]",
    "ENTRYPOINT",
    "ENTRYPOINT []",
    'CMD ["c"]\nENTRYPOINT ["x"]',
    'SHELL ["/q", "-c"]\nCMD a b\nENTRYPOINT c\nHEALTHCHECK CMD d',
    "EXPOSE 80/udp 90 8000-8002/tcp 1.2.3.4:80:91 92/UDP\nEXPOSE 80 ${N:-81}",
    'VOLUME /a "/b"\nVOLUME ["/a b", "/c"]',
    "ENV D=/x E=y\nVOLUME $D ${E}z\nSTOPSIGNAL ${S:-9}\nWORKDIR $D/$E",
    "WORKDIR /x\nWORKDIR y/z\nSTOPSIGNAL SIGINT",
    'USER "a":${B:-b}',
    'ONBUILD RUN  echo   "x" $Y\nonbuild copy --from=x a b\nONBUILD RUN a \\\n  b\nONBUILD FOO x',
    "ONBUILD RUN <<EOF\n a\nEOF\nONBUILD COPY <<-'A' <<B /x\n\ta\n\tA\nb\nB",
    'HEALTHCHECK --interval=5s --timeout=1m30s --start-period=1.5s --start-interval=2s --retries=3 CMD ["a", "b"]',
    "HEALTHCHECK CMD a\nHEALTHCHECK NONE",
    "ENV a=1 b=$a c=$b\nENV d=$a$b\nENV a=2\nENV e=$a",
    "ENV A=env\nARG A=arg\nENV B=$A\nENV A=two\nENV C=$A",
    "ARG K=key\nENV $K=v\nLABEL $K=$K \"$K.x\"='$K'",
    "ARG TARGETARCH TARGETOS TARGETPLATFORM BUILDARCH\nENV A=$TARGETARCH/$TARGETOS/$TARGETPLATFORM/$BUILDARCH B=$BUILDOS",
    "ARG TARGETARCH=foo\nENV A=$TARGETARCH",
    'MAINTAINER a "b"\nARG --foo a\nCMD -- --foo a',
    "LABEL x=\"a\\nb\" y='a\\nb' z=a\\nb q='it''s' r=\"say \\\"hi\\\"\" s=\\'x\\'",
    "ENV A=\u00a0b=c",
    "\\\nENV A=1 \\ \n B=2\n   # c \\\n  ENV C=3 \\",
    "  ENV A=1 #c=2",
]

FILES = [
    ("ARG V=1\nFROM scratch\nENV A=$V\nARG V\nENV B=$V\nARG V=2\nENV C=$V\n", {}),
    ("ARG V=1\nFROM scratch\nENV A=$V\nARG V\nENV B=$V\nARG V=2\nENV C=$V\n", {"V": "9"}),
    ("ARG V=1\nARG W=$V-x\nFROM scratch\nARG W V\nENV B=$W$V\n", {"V": "5"}),
    ("FROM scratch\nENV A=env\nARG A\nENV B=$A\n", {"A": "given"}),
    ("FROM scratch\nENV A=$HTTP_PROXY\nARG HTTP_PROXY\nENV B=$HTTP_PROXY\n", {"HTTP_PROXY": "http://p"}),
    ("FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\n", {"TARGETARCH": "zz"}),
    ("FROM scratch AS x\nARG A=1\nENV E=$A\nARG Q=7\nFROM x\nENV B=$A-$E-$Q\nARG A\nENV C=$A\n", {}),
    ("FROM scratch AS x\nARG A=1\nENV A=env\nARG A=2\nFROM x\nENV B=$A\n", {}),
    ("ARG B=scratch\nFROM $B as one\nENV A=1\nFROM ${B:-x} as two\nENV A=2\nFROM one\nENV C=$A\n", {}),
    ("FROM scratch as one\nENV A=1\nONBUILD ENV B=$A\nONBUILD LABEL x=$B\nFROM one as two\nENV C=$B\nFROM two\n", {}),
    ('FROM scratch as one\nCMD ["a"]\nFROM one\nENTRYPOINT ["b"]\n', {}),
    ("FROM scratch as a\nENV A=0\nFROM scratch as a\nENV A=1\nFROM a\n", {}),
    ("FROM scratch as Build\nENV A=0\nFROM build\n", {}),
    ("FROM scratch as a\nCOPY --from=1 x y\nFROM scratch\n", {}),
    ('# escape=`\nFROM scratch\nENV A=`$x B="`"" C=a`\n D=\\$A E=\\\nCMD a `\n b\n', {}),
    ("#escape = `\nFROM scratch\nENV A=a`\n", {}),
    ("# hi\n# escape=`\nFROM scratch\nENV A=`a\n", {}),
    ("# foo=bar\n# escape=`\nFROM scratch\nENV A=`a\n", {}),
    ("# ESCAPE=`\nFROM scratch\nENV A=`$a\n", {}),
    ("\ufeffFROM scratch\nENV A=1\n", {}),
    ("FROM scratch\r\nENV A=1 \\\r\n  B=2\r\nCMD x \\\r\n\r\n y\r\n", {}),
    ("FROM\tscratch\tAS\tx\nENV\tA=1\n", {}),
]

REFUSED = [
    "FROM scratch\nRUNN x",
    "FROM scratch\nENV a",
    "FROM scratch\nENV a=1 b",
    "FROM scratch\nENV =1",
    "FROM scratch\nARG =x",
    "FROM scratch\nLABEL",
    'FROM scratch\nCMD ["a", 1]',
    "FROM scratch\nSHELL bash -c",
    "FROM scratch\nSHELL []",
    'FROM scratch\nVOLUME ["", "/c"]',
    "FROM scratch\nVOLUME $A",
    'FROM scratch\nVOLUME /a "c d"',
    "FROM scratch\nENV A=1 # c=2",
    "FROM scratch\nONBUILD FROM x",
    "FROM scratch\nONBUILD ONBUILD RUN x",
    "FROM scratch\nONBUILD CMD [1]",
    "FROM scratch\nHEALTHCHECK NONE x",
    "FROM scratch\nHEALTHCHECK CMD []",
    "FROM scratch\nHEALTHCHECK X a",
    "FROM scratch\nHEALTHCHECK --interval=5 CMD a",
    "FROM scratch\nHEALTHCHECK --interval=1us CMD a",
    "FROM scratch\nHEALTHCHECK --retries=-1 CMD a",
    "FROM scratch\nCOPY a",
    "FROM scratch\nCOPY a <<EOF\nEOF",
    "FROM scratch\nCOPY <<EOF /x\nk",
    "FROM scratch\nRUN --mount=type=foo x",
    "FROM scratch\nRUN --mount=type=cache,sharing=lockd,target=/x x",
    "FROM scratch\nRUN --mount=type=secret x",
    "FROM scratch\nRUN --mount=type=tmpfs,size=x,target=/x x",
    "FROM scratch\nRUN --mount=foo=1 x",
    "FROM scratch\nRUN --mount=foo x",
    "FROM scratch\nRUN --mount=from=$A,target=/x x",
    "FROM scratch\nRUN --network=foo x",
    "FROM a b",
    "FROM scratch AS 1a",
    "FROM $X",
    "FROM scratch as a\nCOPY --from=5 x y",
    "FROM scratch as a\nCOPY --from=a x y",
    "FROM scratch as a\nCOPY --from=b x y\nFROM a as b",
    "# escape=x\nFROM scratch",
    "# escape=`\n# escape=`\nFROM scratch",
    "# only a comment",
]


def shown(config: dict[str, Any]) -> dict[str, Any]:
    """The fields that a Dockerfile sets; sets sorted, what is empty is as good as absent."""
    sets = {name: sorted(config.get(name) or ()) for name in ("ExposedPorts", "Volumes")}
    return {name: sets.get(name, config.get(name)) or None for name in FIELDS}


def both(text: str, args: dict[str, str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the reference's, ours): a configuration each."""
    flags = [f"--build-arg={name}={value}" for name, value in (args or {}).items()]
    theirs = peer_build.build(text, *flags)
    assert "config" in theirs, theirs
    return shown(theirs["config"]), shown(evaluate(text, args))


def assert_same_message(text: str) -> None:
    """Both refuse, and theirs has ours in it, up to the hint that only ours gives."""
    theirs = peer_build.build(text)
    assert "error" in theirs, theirs
    with pytest.raises(DockerfileError) as caught:
        evaluate(text)
    assert caught.value.text.partition(" (did you mean")[0] in theirs["error"]


def test_words_expand_alike() -> None:
    words = [word for line in WORDS.split("\n") for word in line.split("|")]
    lines = [f"LABEL w{number}={word}" for number, word in enumerate(words)]
    text = "\n".join(["FROM scratch", "ARG A=abcabc P=/usr/lib/x S=*b? ", "ENV E=", "ENV D=\\$2", *lines])
    theirs, ours = both(text)
    named = {name: words[int(name[1:])] for name in ours["Labels"]}
    assert {named[name]: value for name, value in ours["Labels"].items()} == {
        named[name]: value for name, value in theirs["Labels"].items()
    }


@pytest.mark.parametrize("word", BAD_WORDS.split("|")[:-1])
def test_words_are_refused_alike(word: str) -> None:
    assert_same_message(f"FROM scratch\nARG A=abcabc E=\nENV R={word}\n")


@pytest.mark.parametrize("body", BODIES)
def test_instructions_are_read_alike(body: str) -> None:
    theirs, ours = both(f"FROM scratch\n{body}\n")
    assert ours == theirs


@pytest.mark.parametrize(("text", "args"), FILES)
def test_files_are_read_alike(text: str, args: dict[str, str]) -> None:
    theirs, ours = both(text, args)
    assert ours == theirs


@pytest.mark.parametrize("text", REFUSED)
def test_mistakes_are_refused_alike(text: str) -> None:
    assert_same_message(f"{text}\n")
