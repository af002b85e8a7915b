"""The files of a project as they are published: everything in one directory, so each file that another names is renamed.

The text stays the author's, comments and all; only the names of env files and of files that `extends` names are
replaced, by a digest of their path. What is named by an address is left alone: whoever runs it fetches it from there.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from compose.errors import ComposeError
from compose.loader.remotes import is_remote
from compose.loader.shortforms import clean_path
from compose.loader.template import TemplateError, substitute
from compose.usecases.artifact import ENV, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Lookup = Callable[[str], str | None]

LOCAL_INCLUDE = "cannot publish compose file with local includes"


class Collected(NamedTuple):
    """`env_files`: path to name; whether their content is published is for the user to say."""

    parts: list[Part]
    env_files: dict[str, str]

    def env_parts(self) -> list[Part]:
        """The content of the env files that are there."""
        return [Part(name, _read(path), ENV) for path, name in self.env_files.items() if os.path.isfile(path)]


class _Change(NamedTuple):
    start: int
    end: int
    text: str


def collect(files: Iterable[str], directory: str, lookup: Lookup) -> Collected:
    """The parts of a project whose compose files are these, relative paths of which begin at `directory`.

    Raises ComposeError for a file that cannot be read, and for local includes, which have no place in an artifact.
    """
    found = Collected([], {})
    bases: dict[str, str] = {}
    for file in files:
        if file == "-":
            raise ComposeError("cannot publish compose file read from standard input")
        content = _process(file, directory, lookup, found, bases, includes=True)
        found.parts.append(Part(os.path.basename(file), content))
    done: set[str] = set()
    while pending := [path for path in bases if path not in done]:
        for path in pending:
            done.add(path)
            content = _process(path, os.path.dirname(path), lookup, found, bases, includes=False)
            found.parts.append(Part(bases[path], content, is_base=True))
    return found


def _process(
    file: str, directory: str, lookup: Lookup, found: Collected, bases: dict[str, str], *, includes: bool
) -> bytes:
    text = _text(file)
    changes: dict[int, _Change] = {}

    def rename(node: yaml.ScalarNode, names: dict[str, str], suffix: str) -> None:
        path = clean_path(os.path.join(directory, os.path.expanduser(_plain(node, lookup))))
        names[path] = f"{hashlib.sha256(path.encode()).hexdigest()}{suffix}"
        # a block ends with its line break
        ending = "\n" if node.style in ("|", ">") else ""
        changes[node.start_mark.index] = _Change(node.start_mark.index, node.end_mark.index, names[path] + ending)

    for root in _documents(text, file):
        if includes:
            _refuse_local_includes(root)
        for service in _values(_value(root, "services")):
            for node in _env_files(_value(service, "env_file")):
                rename(node, found.env_files, ".env")
            extended = _value(_value(service, "extends"), "file")
            if isinstance(extended, yaml.ScalarNode) and extended.value and not is_remote(_plain(extended, lookup)):
                rename(extended, bases, ".yaml")
    for change in sorted(changes.values(), reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text.encode()


def _refuse_local_includes(root: yaml.Node) -> None:
    included = _value(root, "include")
    for entry in included.value if isinstance(included, yaml.SequenceNode) else ():
        path = _value(entry, "path") if isinstance(entry, yaml.MappingNode) else entry
        nodes = path.value if isinstance(path, yaml.SequenceNode) else [path]
        if not all(isinstance(node, yaml.ScalarNode) and is_remote(node.value) for node in nodes):
            raise ComposeError(LOCAL_INCLUDE)


def _env_files(value: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        path = _value(node, "path") if isinstance(node, yaml.MappingNode) else node
        if isinstance(path, yaml.ScalarNode) and path.value:
            yield path


def _documents(text: str, file: str) -> list[yaml.Node]:
    try:
        return [root for root in yaml.compose_all(text, yaml.CSafeLoader) if root is not None]
    except yaml.YAMLError as error:
        raise ComposeError(f"{file}: {error}") from error


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if isinstance(name, yaml.ScalarNode) and name.value == key), None)


def _values(node: yaml.Node | None) -> list[Any]:
    return [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _plain(node: yaml.ScalarNode, lookup: Lookup) -> str:
    try:
        return substitute(str(node.value), lookup)
    except TemplateError:
        return str(node.value)


def _text(path: str) -> str:
    try:
        return _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ComposeError(f"{path}: not a text in UTF-8") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ComposeError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
