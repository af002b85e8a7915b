"""`RUN --mount`: every option of every type, and the message of each mistake."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile.lexer import expand
from runtime.build.dockerfile.model import Mount
from runtime.build.dockerfile.mounts import fields, mount, source_of
from runtime.build.dockerfile.problem import DockerfileError

VALUES = {"T": "/target", "TYPE": "cache", "N": "5"}


def read(flag: str) -> Mount:
    return mount(flag, lambda word: expand(word, VALUES.get))


@pytest.mark.parametrize(
    ("flag", "found"),
    [
        ("target=/x", Mount("bind", "/x", readonly=True)),
        ("type=bind,source=a,target=/x,rw", Mount("bind", "/x", "a", readonly=False)),
        ("type=bind,src=a,dst=/x,from=s,ro=false", Mount("bind", "/x", "a", "s", readonly=False)),
        ("type=bind,destination=/x,readwrite=false", Mount("bind", "/x", readonly=True)),
        ("type=cache,target=/x", Mount("cache", "/x")),
        (
            "type=cache,id=i,target=/x,sharing=LOCKED,mode=0700,uid=1,gid=2,ro,from=a,source=b",
            Mount("cache", "/x", "b", "a", "i", readonly=True, sharing="locked", mode=0o700, uid=1, gid=2),
        ),
        ("type=tmpfs,target=/x,size=64m", Mount("tmpfs", "/x", size=64 << 20)),
        ("type=secret,id=s", Mount("secret", id="s", readonly=True)),
        (
            "type=secret,id=s,target=/x,required,env=E,mode=0440,uid=1,gid=1",
            Mount("secret", "/x", id="s", readonly=True, required=True, env="E", mode=0o440, uid=1, gid=1),
        ),
        ("type=ssh", Mount("ssh", readonly=True)),
        ("type=ssh,id=i,required=true,mode=0600", Mount("ssh", id="i", readonly=True, required=True, mode=0o600)),
        ("TYPE=Cache,Target=/x", Mount("cache", "/x")),
        ("type=$TYPE,target=$T/a,uid=$N", Mount("cache", "/target/a", uid=5)),
        ('type=cache,"target=/a,b"', Mount("cache", "/a,b")),
    ],
)
def test_a_mount_is_read(flag: str, found: Mount) -> None:
    assert read(flag) == found


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("type=foo", 'unsupported mount type "foo"'),
        ("type=cach", 'unsupported mount type "cach" (did you mean cache?)'),
        ("type=cache,sharing=lockd", 'unsupported sharing value "lockd" (did you mean locked?)'),
        ("type=bind,sharing=shared", "invalid cache sharing set for bind mount"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,sharing=locked", "secret mount should not define sharing"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=tmpfs,size=x", "invalid value for size: x"),
        ("type=bind,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=bind,mode=1", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,uid=1", 'uid not allowed for "tmpfs" type mounts'),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,uid=x", "invalid value x for uid"),
        ("type=cache,gid=4294967296", "invalid value 4294967296 for gid"),
        ("required,type=secret,id=x", "unexpected key 'required' for mount type 'bind'"),
        ("ro=x", "invalid value for ro: x"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
        ('target="/x', 'bare "'),
        ('"target=/x', "missing"),
    ],
)
def test_a_mistake_is_named(flag: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        read(flag)
    assert message in caught.value.text


def test_the_source_is_known_before_any_variable() -> None:
    assert source_of("type=cache,target=$T,from=stage") == "stage"
    assert source_of("type=cache,from=a$") == "a$"
    assert source_of("type=tmpfs") == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [("a,b", ["a", "b"]), ('"a,b",c', ["a,b", "c"]), ('"a""b"', ['a"b']), ("", [""]), ("a,,b", ["a", "", "b"])],
)
def test_fields_are_csv(text: str, found: list[str]) -> None:
    assert fields(text) == found
