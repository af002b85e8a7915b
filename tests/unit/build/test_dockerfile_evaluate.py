"""Which fields of an instruction are expanded, and what the words of EXPOSE mean."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import model
from runtime.build.dockerfile.evaluate import evaluate
from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.ports import exposed
from runtime.build.dockerfile.problem import DockerfileError

VALUES = {"D": "/x", "E": "y z", "N": "80"}


def one(text: str) -> model.Instruction:
    (instruction,) = parse(f"FROM scratch\n{text}\n").stages[0].instructions
    return evaluate(instruction, VALUES.get)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("WORKDIR $D/a", "path", "/x/a"),
        ("USER ${D##/}", "user", "x"),
        ("STOPSIGNAL ${S:-9}", "signal", "9"),
        ("VOLUME $D ${E}z", "paths", ("/x", "y zz")),
        ("EXPOSE $N ${N}/udp", "ports", ("80/tcp", "80/udp")),
        ("LABEL $D=\"$E\" b='$E'", "pairs", (("/x", "y z"), ("b", "$E"))),
        ("CMD echo $D", "command", model.Shell("echo $D")),
        ('ENTRYPOINT ["$D"]', "command", model.Exec(("$D",))),
        ("RUN echo $D", "command", model.Shell("echo $D")),
        ('SHELL ["$D"]', "shell", ("$D",)),
        ("HEALTHCHECK CMD $D", "test", ("CMD-SHELL", "$D")),
        ("ONBUILD RUN $D", "trigger", "RUN $D"),
        ("MAINTAINER $D", "name", "$D"),
    ],
)
def test_what_expands_and_what_does_not(text: str, name: str, value: object) -> None:
    assert getattr(one(text), name) == value


def test_copy_expands_all_but_from_and_exclude() -> None:
    copy = one('COPY --from=a --chown=$N --chmod=$N --exclude=$D $D "$E" <<A <<"B" $D/\n$N "\nA\n$N\nB')
    assert isinstance(copy, model.Copy)
    assert (copy.sources, copy.destination) == (("/x", "y z"), "/x/")
    assert (copy.chown, copy.chmod, copy.exclude) == ("80", "80", ("$D",))
    assert [document.content for document in copy.heredocs] == ['80 "\n', "$N\n"]


def test_add_expands_its_checksum() -> None:
    add = one("ADD --checksum=sha256:$N http://h/$N /")
    assert isinstance(add, model.Add)
    assert (add.checksum, add.sources) == ("sha256:80", ("http://h/80",))


def test_run_gets_its_mounts() -> None:
    run = one("RUN --mount=type=cache,target=$D --mount=type=tmpfs,target=/t x")
    assert isinstance(run, model.Run)
    assert run.mounts == (model.Mount("cache", "/x"), model.Mount("tmpfs", "/t"))


def test_a_volume_that_comes_to_nothing_is_refused() -> None:
    with pytest.raises(DockerfileError, match=r"^Dockerfile:2: VOLUME specified can not be an empty string$"):
        one("VOLUME $NONE")


@pytest.mark.parametrize(
    ("word", "ports"),
    [
        ("80", ["80/tcp"]),
        ("80/UDP", ["80/udp"]),
        ("8000-8002/sctp", ["8000/sctp", "8001/sctp", "8002/sctp"]),
        ("90:80", ["80/tcp"]),
        ("1.2.3.4:90:80", ["80/tcp"]),
        ("[::1]:90:80", ["80/tcp"]),
        ("0", ["0/tcp"]),
    ],
)
def test_ports_are_exposed_with_their_protocol(word: str, ports: list[str]) -> None:
    assert exposed(word) == ports


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("x", "invalid containerPort: x"),
        ("70000", "invalid containerPort: 70000"),
        ("5-3", "invalid containerPort: 5-3"),
        ("80/x", "invalid proto: x"),
        ("/tcp", "no port specified"),
        ("x:80", "invalid hostPort: x"),
        ("h:1:80", "invalid IP address: h"),
        ("1-2:80-82", "invalid ranges"),
        ("\u0661", "invalid containerPort"),
    ],
)
def test_what_is_no_port_is_refused(word: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        exposed(word)
    assert message in caught.value.text
