"""Options of a tmpfs mount: Docker's safe defaults, overridden word by word, nothing unknown passed to the kernel."""

from __future__ import annotations

from typing import Any, Final

from runtime.errors import InvalidParameter

DEFAULTS: Final = ("noexec", "nosuid", "nodev")
_OPPOSITES: Final = {
    "exec": "noexec", "suid": "nosuid", "dev": "nodev", "ro": "rw", "sync": "async", "diratime": "nodiratime",
    "mand": "nomand", "atime": "noatime", "relatime": "norelatime", "strictatime": "nostrictatime",
    "iversion": "noiversion",
}  # fmt: skip
_CONTRARY: Final = _OPPOSITES | {no: yes for yes, no in _OPPOSITES.items()}
_FLAGS: Final = {*_CONTRARY, "defaults", "dirsync", "bind", "rbind"}
_VALUES: Final = ("size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "mpol", "huge")


def from_text(text: str) -> list[str]:
    """The options of HostConfig.Tmpfs (`size=64m,exec`) over the defaults; raises InvalidParameter."""
    words = [word for word in text.split(",") if word]
    for word in words:
        if word not in _FLAGS and word.partition("=")[0] not in _VALUES:
            raise InvalidParameter(f'invalid tmpfs option ["{word}"]')
    return _merge([*DEFAULTS, *words])


def from_options(options: dict[str, Any], *, read_only: bool) -> list[str]:
    """The options of a mount of type tmpfs: `SizeBytes`, `Mode` (a number) and further `Options`, over the defaults."""
    words = ["ro"] if read_only else []
    size, mode = int(options.get("SizeBytes") or 0), int(options.get("Mode") or 0)
    if size < 0 or not 0 <= mode <= 0o7777:
        raise InvalidParameter(f'invalid mount config for type "tmpfs": size {size} or mode {mode:o} out of range')
    if size:
        words.append(f"size={size}")
    if mode:
        words.append(f"mode={mode:o}")
    words += ["=".join(map(str, pair)) for pair in options.get("Options") or ()]
    return from_text(",".join(words))


def _merge(words: list[str]) -> list[str]:
    """Later words win over their contrary and over an earlier value of the same name."""
    merged: dict[str, str] = {}
    for word in words:
        if word == "defaults":
            continue
        merged.pop(_CONTRARY.get(word, ""), None)
        key = word.partition("=")[0]
        merged.pop(key, None)
        merged[key] = word
    return list(merged.values())
