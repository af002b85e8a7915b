"""Patterns of .dockerignore: the table is that of Go's patternmatcher."""

from __future__ import annotations

import time

import pytest

from runtime.wire.ignorefile import BadPattern, Matcher, clean, names, parse

SINGLE = [
    ("**", "file", True),
    ("**", "file/", True),
    ("**/", "file", True),
    ("**/", "file/", True),
    ("**", "/", True),
    ("**/", "/", True),
    ("**", "dir/file", True),
    ("**/", "dir/file", True),
    ("**", "dir/file/", True),
    ("**/**", "dir/file", True),
    ("**/**", "dir/file/", True),
    ("dir/**", "dir/file", True),
    ("dir/**", "dir/file/", True),
    ("dir/**", "dir/dir2/file", True),
    ("dir/**", "dir/dir2/file/", True),
    ("**/dir", "dir", True),
    ("**/dir", "dir/file", True),
    ("**/dir2/*", "dir/dir2/file", True),
    ("**/dir2/*", "dir/dir2/file/", True),
    ("**/dir2/**", "dir/dir2/dir3/file", True),
    ("**/dir2/**", "dir/dir2/dir3/file/", True),
    ("**file", "file", True),
    ("**file", "dir/file", True),
    ("**/file", "dir/file", True),
    ("**file", "dir/dir/file", True),
    ("**/file", "dir/dir/file", True),
    ("**/file*", "dir/dir/file", True),
    ("**/file*", "dir/dir/file.txt", True),
    ("**/file*txt", "dir/dir/file.txt", True),
    ("**/file*.txt", "dir/dir/file.txt", True),
    ("**/file*.txt*", "dir/dir/file.txt", True),
    ("**/**/*.txt", "dir/dir/file.txt", True),
    ("**/**/*.txt2", "dir/dir/file.txt", False),
    ("**/*.txt", "file.txt", True),
    ("**/**/*.txt", "file.txt", True),
    ("a**/*.txt", "a/file.txt", True),
    ("a**/*.txt", "a/dir/file.txt", True),
    ("a**/*.txt", "a/dir/dir/file.txt", True),
    ("a/*.txt", "a/dir/file.txt", False),
    ("a/*.txt", "a/file.txt", True),
    ("a/*.txt**", "a/file.txt", True),
    ("a[b-d]e", "ae", False),
    ("a[b-d]e", "ace", True),
    ("a[b-d]e", "aae", False),
    ("a[^b-d]e", "aze", True),
    (".*", ".foo", True),
    (".*", "foo", False),
    ("abc.def", "abcdef", False),
    ("abc.def", "abc.def", True),
    ("abc.def", "abcZdef", False),
    ("abc?def", "abcZdef", True),
    ("abc?def", "abcdef", False),
    (r"a\\", "a\\", True),
    (r"a\*b", "a*b", True),
    (r"a\*b", "aXb", False),
    ("**/foo/bar", "foo/bar", True),
    ("**/foo/bar", "dir/foo/bar", True),
    ("**/foo/bar", "dir/dir2/foo/bar", True),
    ("abc/**", "abc", False),
    ("abc/**", "abc/def", True),
    ("abc/**", "abc/def/ghi", True),
    ("**/.foo", ".foo", True),
    ("**/.foo", "bar.foo", False),
    ("a(b)c/def", "a(b)c/def", True),
    ("a(b)c/def", "a(b)c/xyz", False),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
    ("dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", True),
    ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", True),
    ("node_modules", "node_modules/a/b.js", True),
    ("node_modules", "src/node_modules/a.js", False),
    ("/build", "build/x", True),
    ("./build/", "build/x", True),
    ("src/../lib", "lib/x", True),
    ("über*", "übergang", True),
]  # fmt: skip
SEVERAL = [
    (["**", "!util/docker/web"], "util/docker/web/foo", False),
    (["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", True),
    (["**", "!dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", False),
    (["**", "!dist/*.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", False),
    (["a", "!a/keep"], "a/keep/file", False),
    (["a", "!a/keep"], "a/other", True),
    (["!a", "a"], "a", True),
    (["*.md", "!README*.md"], "README-secret.md", False),
    (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
    ([], "anything", False),
    (["", "   "], "anything", False),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "expected"), SINGLE)
def test_a_pattern_matches_as_in_go(pattern: str, path: str, expected: bool) -> None:
    assert Matcher([pattern]).matches(path) is expected


@pytest.mark.parametrize(("patterns", "path", "expected"), SEVERAL)
def test_later_patterns_win_and_exclamation_marks_take_back(patterns: list[str], path: str, expected: bool) -> None:
    assert Matcher(patterns).matches(path) is expected


@pytest.mark.parametrize("pattern", ["[", "a[", "!", "[b-a]", "x\\"])
def test_a_pattern_that_means_nothing_is_named(pattern: str) -> None:
    with pytest.raises(BadPattern, match="pattern"):
        Matcher([pattern])


def test_an_ignore_file_is_read_without_comments_and_blanks() -> None:
    text = "\ufeff# comment\n\n  /abs/path/ \n!  keep/../kept\nplain\r\n #not a comment\n./a//b\n"
    assert parse(text) == ["abs/path", "!kept", "plain", "#not a comment", "a/b"]


def test_a_directory_is_pruned_only_if_nothing_below_it_is_taken_back() -> None:
    assert Matcher(["vendor"]).prunes("vendor")
    assert Matcher(["vendor"]).prunes("vendor/x")
    assert not Matcher(["vendor"]).prunes("src")
    assert not Matcher(["vendor", "!vendor/ours"]).prunes("vendor")


def test_paths_are_cleaned_as_go_cleans_them() -> None:
    cases = {"": ".", ".": ".", "/": "/", "a/./b/../c/": "a/c", "../x": "../x", "/../x": "/x", "a/../../b": "../b"}
    assert {path: clean(path) for path in cases} == cases


@pytest.mark.parametrize(
    ("patterns", "directory", "pruned"),
    [
        (["node_modules"], "node_modules", True),
        (["node_modules"], "src", False),
        (["node_modules", "!node_modules/keep"], "node_modules", False),
        (["node_modules", "!node_modules/keep"], "node_modules/other", True),
        (["node_modules", "!src/keep"], "node_modules", True),
        (["!src/keep", "node_modules"], "node_modules", True),
        (["*", "!src"], "doc", True),
        (["*", "!src"], "src", False),
        (["*", "!src/*.c"], "src", False),
        (["*", "!src/*.c"], "doc", True),
        (["*", "!**/keep"], "doc", False),
        (["*", "!a**/keep"], "a/b", False),
    ],
)
def test_a_directory_is_pruned_only_where_nothing_below_can_come_back(
    patterns: list[str], directory: str, pruned: bool
) -> None:
    assert Matcher(patterns).prunes(directory) is pruned


def test_two_broken_patterns_do_not_make_a_whole_one() -> None:
    with pytest.raises(BadPattern, match=r'pattern "\[a"'):
        Matcher(["[a", "b]"])


def test_many_stars_in_a_long_name_take_no_time() -> None:
    matcher = Matcher(["*a" * 40 + "b", "**/**/**/**/*a*a*a*c"])
    started = time.monotonic()
    assert not matcher.matches("a" * 255)
    assert not matcher.matches("/".join(["a" * 20] * 40))
    assert time.monotonic() - started < 1


def test_ten_thousand_files_are_matched_in_a_blink() -> None:
    matcher = Matcher(["**/node_modules", "**/*.pyc", ".git", "dist", "docs/**/*.md", "*.log", "!keep.log", "build/*"])
    paths = [f"src/pkg{number % 100}/module{number}/file{number}.py" for number in range(10_000)]
    started = time.monotonic()
    assert not any(map(matcher.matches, paths))
    assert time.monotonic() - started < 1


def test_the_ignore_file_beside_the_dockerfile_comes_first() -> None:
    assert names("build/Dockerfile") == ("build/Dockerfile.dockerignore", ".dockerignore")
