"""What a check of Dockerfiles found, in the words of `docker build --check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def report(findings: Sequence[tuple[str, str, str]]) -> str:
    """The text for findings of (rule, what is to be said, where)."""
    if not findings:
        return "Check complete, no warnings found.\n"
    count = len(findings)
    found = "".join(f"\nWARNING: {rule}\n{text}\n{place}\n" for rule, text, place in findings)
    return f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!\n{found}"
