"""User specifications, resolved against an image's own passwd and group files."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.oci.users import User, lookup

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
broken
nogid:x:7
notanumber:x:seven:7::/nowhere:/bin/sh

  app:x:1000:2000:App:/home/app:/bin/sh
app:x:1:1:second of that name:/second:/bin/sh
123:x:0:0:a name made of digits:/trap:/bin/sh
nohome:x:1001:1001
other:x:1000:5:second of that uid:/other:/bin/sh
huge:x:4294967296:0::/:/bin/sh
wide:x:50:2147483648::/:/bin/sh
"""
GROUP = """\
root:x:0:
wheel:x:10:root,app
broken:x:ten:app
app:x:2000:
video:x:3000:other,app
video:x:3001:
"""
RANGE = "uids and gids must be in range 0-2147483647"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", User(0, 0, [0, 10], "/root")),
        ("root", User(0, 0, [0, 10], "/root")),
        ("0", User(0, 0, [0, 10], "/root")),
        ("app", User(1000, 2000, [2000, 10, 3000], "/home/app")),
        ("app:", User(1000, 2000, [2000, 10, 3000], "/home/app")),
        ("1000", User(1000, 2000, [2000, 10, 3000], "/home/app")),
        ("01000", User(1000, 2000, [2000, 10, 3000], "/home/app")),
        ("+1000", User(1000, 2000, [2000, 10, 3000], "/home/app")),
        ("+5", User(5, 0, [0], "/")),
        ("4242", User(4242, 0, [0], "/")),
        ("4242:17", User(4242, 17, [17], "/")),
        ("app:wheel", User(1000, 10, [10], "/home/app")),
        ("app:77", User(1000, 77, [77], "/home/app")),
        ("app:wheel:rest", User(1000, 10, [10], "/home/app")),
        (":5", User(0, 5, [5], "/root")),
        (":video", User(0, 3000, [3000], "/root")),
        ("nohome", User(1001, 1001, [1001], "/")),
        ("123", User(123, 0, [0], "/")),
        ("2147483647", User(2147483647, 0, [0], "/")),
        ("-0", User(0, 0, [0, 10], "/root")),
    ],
)
def test_specification_gives_the_ids_of_the_image(spec: str, expected: User) -> None:
    assert lookup(spec, [], PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("0x10", "unable to find user 0x10: no matching entries in passwd file"),
        ("app ", "unable to find user app : no matching entries in passwd file"),
        (" app", "unable to find user  app: no matching entries in passwd file"),
        ("1_0", "unable to find user 1_0: no matching entries in passwd file"),
        ("\u0661", "unable to find user \u0661: no matching entries in passwd file"),
        ("+", "unable to find user +: no matching entries in passwd file"),
        ("notanumber", "unable to find user notanumber: no matching entries in passwd file"),
        ("nogid", "unable to find user nogid: no matching entries in passwd file"),
        ("App", "unable to find user App: no matching entries in passwd file"),
        ("app:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("-1", RANGE),
        ("2147483648", RANGE),
        ("4294967296", RANGE),
        ("9" * 6000, RANGE),
        ("app:-1", RANGE),
        ("app:4294967295", RANGE),
        ("huge", RANGE),
        ("wide", RANGE),
    ],
)
def test_unknown_name_or_impossible_id_is_refused(spec: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        lookup(spec, [], PASSWD, GROUP)
    assert caught.value.message == message


def test_additional_groups_follow_the_own_ones_without_repeats() -> None:
    user = lookup("app", ["video", "44", "wheel", "2000", "55"], PASSWD, GROUP)
    assert user.groups == [2000, 10, 3000, 44, 55]


def test_additional_group_name_must_exist() -> None:
    with pytest.raises(InvalidParameter, match="unable to find group audio"):
        lookup("app", ["audio"], PASSWD, GROUP)


def test_additional_group_number_must_be_in_range() -> None:
    with pytest.raises(InvalidParameter, match="in range"):
        lookup("app", ["2147483648"], PASSWD, GROUP)


def test_missing_files_still_give_root_and_numbers() -> None:
    assert lookup("", [], "", "") == User(0, 0, [0], "/")
    assert lookup("7:8", ["9"], "", "") == User(7, 8, [8, 9], "/")


def test_a_form_feed_does_not_start_a_new_entry() -> None:
    assert lookup("a", [], "a:x:1:1:\x0croot2:x:0:0::/:\n", "").uid == 1
    with pytest.raises(InvalidParameter):
        lookup("root2", [], "a:x:1:1:\x0croot2:x:0:0::/:\n", "")
